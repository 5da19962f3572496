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
	for _, spans := range spanSeeds() {
		f.Add(oneScope(spans...))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		checkSpans(t, otlp.NewDecoder(), body)
		newAskers().check(t, body)
	})
}

// FuzzSpan takes one span: the short cuts have to say of it what the general walk says.
func FuzzSpan(f *testing.F) {
	for _, spans := range spanSeeds() {
		for _, span := range spans {
			f.Add(span)
		}
	}
	f.Fuzz(func(t *testing.T, span []byte) {
		newAskers().checkWalks(t, span)
	})
}

func spanSeeds() (seeds [][][]byte) {
	for seed := range uint64(fuzzSeeds) {
		seeds = append(seeds, newGenerator(seed).rawSpans())
	}
	return seeds
}
