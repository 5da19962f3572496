package otlp

import (
	"fmt"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
)

// CountLogs checks the whole structure of an ExportLogsServiceRequest and returns its number of records. It builds and
// allocates nothing. A body it accepts is one that [Decoder.Logs] accepts, and no other is.
func CountLogs(body []byte) (records int, err error) {
	return count(body, &logsRequest, telemetry.Logs)
}

// CountSpans is [CountLogs] for an ExportTraceServiceRequest and [Decoder.Spans].
func CountSpans(body []byte) (spans int, err error) {
	return count(body, &spansRequest, telemetry.Spans)
}

func count(body []byte, request *message, signal telemetry.Signal) (int, error) {
	var w walk
	if err := w.message(body, request); err != nil {
		return 0, fmt.Errorf("cannot check OTLP %s: %w", signal, err)
	}
	return w.records, nil
}

// A walk checks messages by their descriptions.
type walk struct {
	records, elements, depth int
}

func (w *walk) message(data []byte, m *message) error {
	r := protobuf.Read(data)
	for r.Next() {
		f := &m[min(r.Tag>>3, lastField)]
		if !f.known {
			continue
		}
		if r.Tag&7 != f.wire {
			r.Skip(^uint64(0))
			break
		}
		if f.sub == nil {
			continue
		}
		if err := w.enter(f); err != nil {
			return err
		}
		if f.sub == attrMessage && quickCheck(r.Data) {
			continue
		}
		if f.sub == &spanMessage {
			if attrs, ok := checkSpan(r.Data); ok {
				if w.elements += attrs; w.elements > maxElements {
					return ErrTooMany
				}
				continue
			}
		}
		if err := w.message(r.Data, f.sub); err != nil {
			return err
		}
		if f.role == list {
			w.depth--
		}
	}
	return r.Err()
}

func (w *walk) enter(f *field) error {
	switch f.role {
	case record:
		w.records++
		w.elements++
	case element:
		w.elements++
	case list:
		if w.depth++; w.depth > maxDepth {
			return ErrTooDeep
		}
	}
	if w.elements > maxElements {
		return ErrTooMany
	}
	return nil
}
