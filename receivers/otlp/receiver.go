package otlp

import (
	"context"
	"fmt"
	"net/http"
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
	MaxInFlightBytes int64         // of all requests at once, as they come: 256 MiB; over it senders are told to wait
	ReadTimeout      time.Duration // for one HTTP body to arrive: 30 s
	Registerer       prometheus.Registerer
}

// A Receiver takes OTLP requests and appends them to next.
type Receiver struct {
	next    telemetry.Appender
	gate    *intake.Gate
	metrics *metrics
}

// New returns a receiver in front of next.
func New(next telemetry.Appender, o Options) *Receiver {
	gate := intake.New(intake.Options{
		MaxBodyBytes:     o.MaxBodyBytes,
		MaxInFlightBytes: o.MaxInFlightBytes,
		ReadTimeout:      o.ReadTimeout,
	})
	return &Receiver{next: next, gate: gate, metrics: newMetrics(o.Registerer, gate)}
}

// take validates f, whose body is lent, and appends it. With json, the body is translated first.
// A request without records is answered like any other, and not kept.
func (r *Receiver) take(ctx context.Context, f telemetry.Frame, json bool) error {
	records, size := 0, len(f.Body)
	err := r.gate.Look(ctx, f.Body, f.Compression, func(plain []byte) (err error) {
		if json {
			if plain, err = fromJSON(f.Signal, plain); err != nil {
				return &intake.Refusal{Status: http.StatusBadRequest, Err: err}
			}
		}
		if records, err = count(f.Signal, plain); err != nil {
			err = fmt.Errorf("cannot read the %s: %w", f.Signal, err)
			return &intake.Refusal{Status: http.StatusBadRequest, Err: err}
		}
		if json {
			f.Body, f.Compression = pack(plain), telemetry.Zstd
		}
		return nil
	})
	if err != nil {
		return err
	}
	if records > 0 {
		disk.Point("receiver.before-append")
		if err := r.next.Append(ctx, []telemetry.Frame{f}); err != nil {
			return fmt.Errorf("cannot keep the %s: %w", f.Signal, err)
		}
		disk.Point("receiver.after-append")
	}
	r.metrics.taken(f.Signal, records, size)
	return nil
}

func count(s telemetry.Signal, plain []byte) (int, error) {
	if s == telemetry.Logs {
		return wire.CountLogs(plain)
	}
	return wire.CountSpans(plain)
}
