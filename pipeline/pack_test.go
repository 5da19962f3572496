package pipeline

import (
	"bytes"
	"errors"
	"testing"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
)

func TestPackCompressesWhatCameAsItIs(t *testing.T) {
	large, small := bytes.Repeat([]byte("span "), 1000), bytes.Repeat([]byte("x"), packFrom-1)
	sent := []telemetry.Frame{
		{Signal: telemetry.Spans, Encoding: telemetry.OTLP, Body: large, Tenant: "a", Sequence: 7},
		{Signal: telemetry.Logs, Encoding: telemetry.OTLP, Body: small},
		{Signal: telemetry.Logs, Encoding: telemetry.OTLP, Body: large, Compression: telemetry.Gzip},
		{Signal: telemetry.Samples, Encoding: telemetry.RemoteWrite1, Body: large},
	}
	var got []telemetry.Frame
	p := Pack(appenderFunc(func(frames []telemetry.Frame) error {
		got = got[:0]
		for _, f := range frames {
			f.Body = bytes.Clone(f.Body) // lent
			got = append(got, f)
		}
		return nil
	}), telemetry.Snappy)
	for range 2 { // the second time with the first one's memory
		if err := p.Append(t.Context(), sent); err != nil {
			t.Fatal(err)
		}
		if len(got) != len(sent) || got[0].Compression != telemetry.Snappy || len(got[0].Body) > len(large)/10 || got[0].Tenant != "a" || got[0].Sequence != 7 {
			t.Fatalf("got %+v", got)
		}
		if plain, err := compression.Decompress(nil, got[0].Body, telemetry.Snappy, len(large)); err != nil || !bytes.Equal(plain, large) {
			t.Errorf("it is not what was sent: %v", err)
		}
		for i := range sent[1:] {
			if f := got[i+1]; f.Compression != sent[i+1].Compression || !bytes.Equal(f.Body, sent[i+1].Body) {
				t.Errorf("frame %d has changed", i+1)
			}
		}
		if sent[0].Compression != telemetry.Identity || len(sent[0].Body) != len(large) {
			t.Error("the caller's frame has changed")
		}
	}
	refused := errors.New("no")
	if err := Pack(appenderFunc(func([]telemetry.Frame) error { return refused }), telemetry.Zstd).Append(t.Context(), sent); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
}

// The same bytes sent again are the same frame, packed or not.
func TestARepeatIsKnownThroughPack(t *testing.T) {
	q := open(t, disk.NewMem())
	p := Pack(q, telemetry.Snappy)
	f := telemetry.Frame{Signal: telemetry.Spans, Encoding: telemetry.OTLP, Body: bytes.Repeat([]byte("span "), 1000)}
	for range 2 {
		if err := p.Append(t.Context(), []telemetry.Frame{f}); err != nil {
			t.Fatal(err)
		}
	}
	if got := drain(t, spansCursor(t, q)); len(got) != 1 {
		t.Errorf("%d frames", len(got))
	}
}

func spansCursor(t *testing.T, q *Queue) *Cursor {
	t.Helper()
	c, err := q.Cursor(telemetry.Spans, "c", CursorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
