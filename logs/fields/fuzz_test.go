package fields

import (
	"bytes"
	"encoding/json"
	"testing"
)

// For valid JSON the hand scan finds what a walk over encoding/json's tokens finds.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"level":"info","trace_id":"` + trace + `","span_id":"` + span + `"}`,
		`{"trace":{"id":"` + trace + `"},"log":{"level":"warn"},"dd":{"trace_id":"123","span_id":456}}`,
		`{"a":[1,{"level":"x"},"\"}"],"\u006cevel":30,"lvl":"\u0065rror","x":{"trace_id":1}}`,
		`{"traceparent":"00-` + trace + `-` + span + `-01","b":true,"c":null,"d":-1.5e3}`,
		`{"level":"\ud83d\ude00","severity":"err"}`,
		lines["json"], lines["json-none"],
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := Scan(b) // must not panic, whatever it is
		trimmed := bytes.TrimLeft(b, " \t\r\n")
		if len(trimmed) == 0 || trimmed[0] != '{' || !json.Valid(b) {
			return
		}
		var want Fields
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if _, err := d.Token(); err != nil {
			t.Fatal(err)
		}
		walk(t, d, top, &want)
		if got != want {
			t.Fatalf("%q:\n got %+v\nwant %+v", b, got, want)
		}
	})
}

// walk is the slow way: it reads the members of an object whose brace was read.
func walk(t *testing.T, d *json.Decoder, in scope, f *Fields) {
	token := func() json.Token {
		tok, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	for d.More() {
		key := token().(string)
		what, inner := noFact, elsewhere
		if len(key) <= longestKey {
			what, inner = factIn(in, []byte(key))
		}
		switch v := token().(type) {
		case string:
			if what != nested {
				f.set(what, []byte(v))
			}
		case json.Number:
			if what == severity || what == datadogTraceID || what == datadogSpanID {
				f.set(what, []byte(v))
			}
		case json.Delim:
			if v == '{' && what == nested {
				walk(t, d, inner, f)
				continue
			}
			for depth := 1; depth > 0; {
				if v, ok := token().(json.Delim); ok {
					if v == '{' || v == '[' {
						depth++
					} else {
						depth--
					}
				}
			}
		}
	}
	token()
}

func FuzzText(f *testing.F) {
	for _, s := range lines {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		Scan(b)
		if !bytes.Equal(before, b) {
			t.Fatal("the line was changed")
		}
	})
}
