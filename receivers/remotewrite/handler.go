package remotewrite

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/receivers/intake"
	"github.com/braidhq/braid/telemetry"
	wire "github.com/braidhq/braid/wire/remotewrite"
)

// Options of a handler; every field may be left zero.
type Options struct {
	MaxBodyBytes     int64         // of one request, as it comes and decompressed: 64 MiB
	MaxInFlightBytes int64         // of all requests at once, as they come: 256 MiB; over it senders are told to wait
	ReadTimeout      time.Duration // for one body to arrive: 30 s
	Registerer       prometheus.Registerer
}

type handler struct {
	next    telemetry.Appender
	gate    *intake.Gate
	metrics *metrics
}

// New returns the handler of POST /api/v1/write in front of next.
//
// Answers: 204; 400 for what cannot be read, 405, 413, 415 for another message or compression than those of the two
// specifications; 429 with Retry-After when next or the bounds say "not now"; 503 when next fails otherwise.
func New(next telemetry.Appender, o Options) http.Handler {
	gate := intake.New(intake.Options{
		MaxBodyBytes:     o.MaxBodyBytes,
		MaxInFlightBytes: o.MaxInFlightBytes,
		ReadTimeout:      o.ReadTimeout,
	})
	return &handler{next: next, gate: gate, metrics: newMetrics(o.Registerer, gate)}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	encoding, err := parseContentType(req.Header.Get("Content-Type"))
	var written wire.Written
	if err == nil {
		written, err = h.post(w, req, encoding)
	}
	if encoding == telemetry.RemoteWrite2 {
		setWritten(w.Header(), written)
	}
	status, retry := http.StatusNoContent, 0
	if err != nil {
		status, retry = intake.Answer(err)
	}
	h.metrics.answered(encoding, status)
	if err == nil {
		w.WriteHeader(status)
		return
	}
	if retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(retry))
	}
	http.Error(w, err.Error(), status)
}

// post returns what has been written. A 2.0 sender must hear 400 even if only a part was left out ("Partial Write" of
// the specification) and is told by headers that it is a part; 1.0 has no words for it.
func (h *handler) post(w http.ResponseWriter, req *http.Request, encoding telemetry.Encoding) (wire.Written, error) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return wire.Written{}, &intake.Refusal{Status: http.StatusMethodNotAllowed, Err: fmt.Errorf("method %s is not POST", req.Method)}
	}
	if ce := req.Header.Get("Content-Encoding"); ce != "snappy" {
		return wire.Written{}, unsupported(fmt.Errorf("Content-Encoding %q is not snappy", ce))
	}
	f := telemetry.Frame{Signal: telemetry.Samples, Encoding: encoding, Compression: telemetry.Snappy}
	if err := intake.Mark(&f, req.Header.Get); err != nil {
		return wire.Written{}, err
	}
	body, err := h.gate.Read(w, req)
	if err != nil {
		return wire.Written{}, err
	}
	defer body.Release()
	f.Body = body.Bytes
	written, err := h.take(req.Context(), f)
	if err != nil {
		return wire.Written{}, err
	}
	h.metrics.taken(written, len(f.Body))
	if left := written.Skipped + written.SkippedExemplars; left > 0 && encoding == telemetry.RemoteWrite2 {
		return written, &intake.Refusal{
			Status: http.StatusBadRequest,
			Err:    fmt.Errorf("%d samples and exemplars have bad labels and are left out; the others are written", left),
		}
	}
	return written, nil
}

// take validates f, whose body is lent, and appends it. A 1.0 request without samples is kept too: it may carry
// metadata. An empty message is answered, and not kept.
func (h *handler) take(ctx context.Context, f telemetry.Frame) (written wire.Written, err error) {
	empty := false
	err = h.gate.Look(ctx, f.Body, f.Compression, func(plain []byte) (err error) {
		empty = len(plain) == 0
		if written, err = wire.Count(f.Encoding, plain); err != nil {
			return &intake.Refusal{Status: http.StatusBadRequest, Err: fmt.Errorf("cannot read the request: %w", err)}
		}
		return nil
	})
	if err != nil || empty {
		return written, err
	}
	disk.Point("receiver.before-append")
	if err := h.next.Append(ctx, []telemetry.Frame{f}); err != nil {
		return written, fmt.Errorf("cannot keep the samples: %w", err)
	}
	disk.Point("receiver.after-append")
	return written, nil
}

const (
	messageV1 = "prometheus.WriteRequest"
	messageV2 = "io.prometheus.write.v2.Request"
)

// parseContentType follows "Protocol" of the remote-write 2.0 specification: without proto it is 1.0.
func parseContentType(contentType string) (telemetry.Encoding, error) {
	mediaType, params, err := mime.ParseMediaType(contentType)
	if err == nil && mediaType == "application/x-protobuf" {
		switch params["proto"] {
		case "", messageV1:
			return telemetry.RemoteWrite1, nil
		case messageV2:
			return telemetry.RemoteWrite2, nil
		}
	}
	return 0, unsupported(fmt.Errorf("Content-Type %q is not application/x-protobuf with proto=%s or proto=%s", contentType, messageV1, messageV2))
}

func unsupported(err error) error {
	return &intake.Refusal{Status: http.StatusUnsupportedMediaType, Err: err}
}

// setWritten tells a 2.0 sender what is safe; without these headers it must take us for a 1.0 receiver.
func setWritten(h http.Header, n wire.Written) {
	h.Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(n.Samples))
	h.Set("X-Prometheus-Remote-Write-Histograms-Written", strconv.Itoa(n.Histograms))
	h.Set("X-Prometheus-Remote-Write-Exemplars-Written", strconv.Itoa(n.Exemplars))
}
