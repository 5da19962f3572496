package otlp_test

import (
	"testing"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/braidhq/braid/wire/otlp"
)

// Seeds next to the generated ones are in testdata/fuzz.
const fuzzSeeds = 30

func FuzzLogs(f *testing.F) {
	for seed := range uint64(fuzzSeeds) {
		body, err := plogotlp.NewExportRequestFromLogs(newGenerator(seed).logs()).MarshalProto()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		checkLogs(t, otlp.NewDecoder(), body)
	})
}

func FuzzSpans(f *testing.F) {
	for seed := range uint64(fuzzSeeds) {
		body, err := ptraceotlp.NewExportRequestFromTraces(newGenerator(seed).traces()).MarshalProto()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		checkSpans(t, otlp.NewDecoder(), body)
	})
}
