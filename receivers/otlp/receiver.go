package otlp

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/receivers/intake"
	"github.com/braidhq/braid/telemetry"
	wire "github.com/braidhq/braid/wire/otlp"
)

// Options of a Receiver; every field may be left zero.
type Options struct {
	MaxBodyBytes     int64         // of one request, as it comes and decompressed: 64 MiB
	MaxInFlightBytes int64         // of all requests at once, as they come and as they are kept decoded: 256 MiB; over it senders are told to wait
	ReadTimeout      time.Duration // for one HTTP body to arrive: 30 s
	// Observed says which span attributes those ask for who observe what is appended: frames then go along decoded. It is
	// called for each request. nil: nobody observes, and requests are checked only.
	Observed   func() *telemetry.Attributes
	Registerer prometheus.Registerer
}

// A Receiver takes OTLP requests and appends them to next.
type Receiver struct {
	next     telemetry.Appender
	gate     *intake.Gate
	observed func() *telemetry.Attributes
	readings sync.Pool // *reading
	metrics  *metrics
}

// New returns a receiver in front of next.
func New(next telemetry.Appender, o Options) *Receiver {
	gate := intake.New(intake.Options{
		MaxBodyBytes:     o.MaxBodyBytes,
		MaxInFlightBytes: o.MaxInFlightBytes,
		ReadTimeout:      o.ReadTimeout,
	})
	r := &Receiver{next: next, gate: gate, observed: o.Observed, metrics: newMetrics(o.Registerer, gate)}
	first := wire.NewDecoder()
	r.readings.New = func() any { return newReading(r, first.Fork()) }
	return r
}

// take validates the body of rd, and appends it as f. With json, the body is translated first.
// A request without records is answered like any other, and not kept.
func (r *Receiver) take(ctx context.Context, f telemetry.Frame, rd *reading, json bool) error {
	size := len(rd.body)
	f.Body = rd.body
	records := 0
	err := r.gate.Turn(ctx, func(buffer *[]byte) (err error) {
		plain, err := r.gate.Plain(buffer, rd.body, f.Compression)
		if err != nil {
			return err
		}
		if json {
			if plain, err = fromJSON(f.Signal, plain); err != nil {
				return &intake.Refusal{Status: http.StatusBadRequest, Err: err}
			}
		}
		if records, err = rd.read(f.Signal, plain); err != nil {
			err = fmt.Errorf("cannot read the %s: %w", f.Signal, err)
			return &intake.Refusal{Status: http.StatusBadRequest, Err: err}
		}
		if json || f.Compression == telemetry.Identity {
			buffer = nil // plain lies elsewhere
		}
		rd.keep(buffer)
		if json {
			f.Body, f.Compression = pack(plain), telemetry.Zstd
		}
		return nil
	})
	if err != nil {
		return err
	}
	if records > 0 {
		if rd.kept > 0 {
			f.Decoded = &rd.decoded
		}
		disk.Point("receiver.before-append")
		if err := r.next.Append(ctx, []telemetry.Frame{f}); err != nil {
			return fmt.Errorf("cannot keep the %s: %w", f.Signal, err)
		}
		disk.Point("receiver.after-append")
	}
	r.metrics.taken(f.Signal, records, size)
	return nil
}
