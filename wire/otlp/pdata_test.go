package otlp_test

import (
	"errors"
	"slices"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/otlp"
)

const seeds = 800

func TestLogsAsPdata(t *testing.T) {
	d := otlp.NewDecoder()
	for seed := range uint64(seeds) {
		body, err := plogotlp.NewExportRequestFromLogs(newGenerator(seed).logs()).MarshalProto()
		if err != nil {
			t.Fatal(err)
		}
		checkLogs(t, d, body)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestSpansAsPdata(t *testing.T) {
	d := otlp.NewDecoder()
	for seed := range uint64(seeds) {
		body, err := ptraceotlp.NewExportRequestFromTraces(newGenerator(seed).traces()).MarshalProto()
		if err != nil {
			t.Fatal(err)
		}
		checkSpans(t, d, body)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// checkLogs holds the package to what it promises about any body, in relation to pdata where pdata takes the body.
func checkLogs(t *testing.T, d *otlp.Decoder, body []byte) {
	t.Helper()
	batches, err := d.Logs(body)
	n, countErr := otlp.CountLogs(body)
	if (err == nil) != (countErr == nil) {
		t.Errorf("Decoder says %v, CountLogs says %v", err, countErr)
	}
	theirs, pdataErr := new(plog.ProtoUnmarshaler).UnmarshalLogs(body)
	if err != nil {
		if pdataErr == nil {
			checkRemarshalled(t, d, theirs)
		}
		return
	}
	if n != checkIndexes(t, batches) {
		t.Errorf("CountLogs counts %d records, Decoder has another number", n)
	}
	ours := flatLogs(batches)
	if pdataErr == nil {
		compare(t, "decoded by us and by pdata", ours, flatPdataLogs(theirs))
	}
	encoded := otlp.AppendLogs(nil, batches)
	theirs, err = new(plog.ProtoUnmarshaler).UnmarshalLogs(encoded)
	if err != nil {
		t.Errorf("pdata does not take what we encode: %v", err)
		return
	}
	compare(t, "encoded by us, decoded by pdata", ours, flatPdataLogs(theirs))
	again, err := otlp.NewDecoder().Logs(encoded)
	if err != nil {
		t.Errorf("we do not take what we encode: %v", err)
	}
	compare(t, "encoded and decoded by us", ours, flatLogs(again))
}

// checkRemarshalled looks at a body that only pdata takes, since it is laxer (groups, for example): once pdata has
// written it again, we have to take it too, up to our limits.
func checkRemarshalled(t *testing.T, d *otlp.Decoder, theirs plog.Logs) {
	t.Helper()
	body, err := new(plog.ProtoMarshaler).MarshalLogs(theirs)
	if err != nil {
		t.Fatal(err)
	}
	batches, err := d.Logs(body)
	switch {
	case err == nil:
		compare(t, "remarshalled by pdata", flatLogs(batches), flatPdataLogs(theirs))
	case !errors.Is(err, otlp.ErrTooDeep) && !errors.Is(err, otlp.ErrTooMany):
		t.Errorf("we do not take what pdata marshals: %v", err)
	}
}

func checkSpans(t *testing.T, d *otlp.Decoder, body []byte) {
	t.Helper()
	batches, err := d.Spans(body)
	n, countErr := otlp.CountSpans(body)
	if (err == nil) != (countErr == nil) {
		t.Errorf("Decoder says %v, CountSpans says %v", err, countErr)
	}
	theirs, pdataErr := new(ptrace.ProtoUnmarshaler).UnmarshalTraces(body)
	if err != nil {
		if pdataErr == nil {
			body, err = new(ptrace.ProtoMarshaler).MarshalTraces(theirs)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = d.Spans(body); err != nil && !errors.Is(err, otlp.ErrTooDeep) && !errors.Is(err, otlp.ErrTooMany) {
				t.Errorf("we do not take what pdata marshals: %v", err)
			}
		}
		return
	}
	if n != checkIndexes(t, batches) {
		t.Errorf("CountSpans counts %d spans, Decoder has another number", n)
	}
	ours := flatSpans(batches)
	encoded := otlp.AppendSpans(nil, batches)
	if pdataErr == nil {
		compare(t, "decoded by us and by pdata", ours, flatPdataSpans(theirs))
		passed, err := new(ptrace.ProtoUnmarshaler).UnmarshalTraces(encoded)
		if err != nil {
			t.Errorf("pdata does not take what we passed on: %v", err)
			return
		}
		compare(t, "whole spans passed on", marshalSpans(t, theirs), marshalSpans(t, passed))
	}
	if again, err := otlp.NewDecoder().Spans(encoded); err != nil {
		t.Errorf("we do not take what we passed on: %v", err)
	} else {
		compare(t, "passed on", ours, flatSpans(again))
	}
	for _, b := range batches {
		for i := range b.Spans {
			b.Spans[i].Raw = nil
		}
	}
	theirs, err = new(ptrace.ProtoUnmarshaler).UnmarshalTraces(otlp.AppendSpans(nil, batches))
	if err != nil {
		t.Errorf("pdata does not take what we encode: %v", err)
		return
	}
	compare(t, "encoded by us, decoded by pdata", ours, flatPdataSpans(theirs))
}

// marshalSpans returns each span alone, in pdata's canonical bytes: with events, links and all.
func marshalSpans(t *testing.T, traces ptrace.Traces) (spans []string) {
	t.Helper()
	for _, rs := range traces.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				one := ptrace.NewTraces()
				s.CopyTo(one.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty())
				body, err := new(ptrace.ProtoMarshaler).MarshalTraces(one)
				if err != nil {
					t.Fatal(err)
				}
				spans = append(spans, string(body))
			}
		}
	}
	return spans
}

// checkIndexes returns the number of records, which batches must number without a gap.
func checkIndexes(t *testing.T, batches []*telemetry.Batch) int {
	t.Helper()
	n := 0
	for _, b := range batches {
		if b.FirstIndex != n || b.Len() == 0 || b.Resource == nil {
			t.Errorf("batch of %d records at %d has FirstIndex %d, resource %v", b.Len(), n, b.FirstIndex, b.Resource)
		}
		n += b.Len()
	}
	return n
}

func compare(t *testing.T, what string, a, b []string) {
	t.Helper()
	if slices.Equal(a, b) {
		return
	}
	t.Errorf("%s: %d records and %d differ", what, len(a), len(b))
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Errorf("record %d:\n%s\n%s", i, a[i], b[i])
			return
		}
	}
}
