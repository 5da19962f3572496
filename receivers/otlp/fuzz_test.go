package otlp

import (
	"testing"
)

// FuzzBody holds the handler to three things, whatever the body: it answers, alike whoever observes, and nothing stays charged.
func FuzzBody(f *testing.F) {
	logs, spans := marshal(f, someLogs()), marshal(f, someSpans())
	json, err := someLogs().MarshalJSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("/v1/logs", protobufType, "", logs)
	f.Add("/v1/traces", protobufType, "", spans)
	f.Add("/v1/logs", jsonType, "", json)
	f.Add("/v1/logs", protobufType, "gzip", pack(logs))
	f.Add("/v1/traces", protobufType, "zstd", pack(spans))
	f.Fuzz(func(t *testing.T, path, contentType, encoding string, body []byte) {
		switch path {
		case "/v1/logs", "/v1/traces", "/v1/metrics":
		default:
			return
		}
		k := &keeper{}
		r := New(k, Options{MaxBodyBytes: 1 << 20})
		resp := post(r.Handler(), path, contentType, encoding, body)
		if resp.StatusCode != 200 {
			k.none(t)
		}
		if r.gate.Held() != 0 {
			t.Fatalf("%d bytes are still charged", r.gate.Held())
		}
		o := &observer{}
		r = New(o, Options{MaxBodyBytes: 1 << 20, Observed: asking("list")})
		if with := post(r.Handler(), path, contentType, encoding, body); with.StatusCode != resp.StatusCode {
			t.Fatalf("%s, observed %s", resp.Status, with.Status)
		}
		if len(o.seen) != len(k.frames) {
			t.Fatalf("%d frames, observed %d", len(k.frames), len(o.seen))
		}
		if r.gate.Held() != 0 {
			t.Fatalf("%d bytes are still charged to what is observed", r.gate.Held())
		}
	})
}
