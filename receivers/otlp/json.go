package otlp

import (
	"fmt"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
)

// fromJSON translates an Export*ServiceRequest from OTLP's JSON to protobuf. Few senders use it, so it goes through
// pdata: a second JSON codec of our own would have to follow every oddity of that mapping.
func fromJSON(s telemetry.Signal, body []byte) ([]byte, error) {
	translate := logsFromJSON
	if s == telemetry.Spans {
		translate = spansFromJSON
	}
	out, err := translate(body)
	if err != nil {
		return nil, fmt.Errorf("cannot read the JSON: %w", err)
	}
	return out, nil
}

func logsFromJSON(body []byte) ([]byte, error) {
	r := plogotlp.NewExportRequest()
	if err := r.UnmarshalJSON(body); err != nil {
		return nil, err
	}
	return r.MarshalProto()
}

func spansFromJSON(body []byte) ([]byte, error) {
	r := ptraceotlp.NewExportRequest()
	if err := r.UnmarshalJSON(body); err != nil {
		return nil, err
	}
	return r.MarshalProto()
}

func pack(plain []byte) []byte { return compression.Compress(nil, plain, telemetry.Zstd) }
