package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
	"github.com/braidhq/braid/wire/otlp"
	"github.com/braidhq/braid/wire/remotewrite"
)

// maxBody bounds one request after decompression.
const maxBody = 256 << 20

// Take says who counts what has been decoded; what nobody takes is an error. The functions are called one at a time, and
// must not retain what they get.
type Take struct {
	Logs    func([]*telemetry.Batch)
	Spans   func([]*telemetry.Batch)
	Samples func([]telemetry.Sample)
}

// A Server is a sink on one address.
type Server struct {
	Take
	server   *http.Server
	address  string
	wire     atomic.Int64
	mu       sync.Mutex // of Take's functions and err
	err      error
	decoders sync.Pool // *decoders
}

// decoders live together: a request uses one of them.
type decoders struct {
	body    bytes.Buffer
	plain   []byte
	otlp    *otlp.Decoder
	samples *remotewrite.Decoder
}

// Serve starts a sink on ln, which is the sink's from then on.
func Serve(ln net.Listener, take Take) *Server {
	s := &Server{Take: take, address: ln.Addr().String()}
	s.decoders.New = func() any { return &decoders{otlp: otlp.NewDecoder(), samples: remotewrite.NewDecoder()} }
	s.server = &http.Server{Handler: s}
	go func() { _ = s.server.Serve(ln) }()
	return s
}

// URL is the sink's base URL.
func (s *Server) URL() string { return "http://" + s.address }

// WireBytes returns the size of the bodies that have come, as they came.
func (s *Server) WireBytes() int64 { return s.wire.Load() }

// Err returns what was wrong with requests.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Do runs f while nothing is counted.
func (s *Server) Do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// Close ends it after the requests under way.
func (s *Server) Close(ctx context.Context) error { return s.server.Shutdown(ctx) }

// ServeHTTP takes one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d := s.decoders.Get().(*decoders)
	defer s.decoders.Put(d)
	if err := s.take(w, r, d); err != nil {
		s.Do(func() { s.err = errors.Join(s.err, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, err)) })
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func (s *Server) take(w http.ResponseWriter, r *http.Request, d *decoders) error {
	d.body.Reset()
	if _, err := d.body.ReadFrom(r.Body); err != nil {
		return fmt.Errorf("cannot read the body: %w", err)
	}
	encoding, err := compression.ParseEncoding(r.Header.Get("Content-Encoding"))
	if err != nil {
		return err
	}
	d.plain, err = compression.Decompress(d.plain, d.body.Bytes(), encoding, maxBody)
	if err != nil {
		return err
	}
	s.wire.Add(int64(d.body.Len()))
	switch {
	case r.URL.Path == "/v1/logs" && s.Logs != nil:
		return s.records(w, d.otlp.Logs, s.Logs, d.plain)
	case r.URL.Path == "/v1/traces" && s.Spans != nil:
		return s.records(w, d.otlp.Spans, s.Spans, d.plain)
	case r.URL.Path == "/api/v1/write" && s.Samples != nil:
		return s.samples(w, r, d)
	}
	return errors.New("nobody asked for this")
}

func (s *Server) records(w http.ResponseWriter, decode func([]byte) ([]*telemetry.Batch, error), take func([]*telemetry.Batch), body []byte) error {
	batches, err := decode(body)
	if err != nil {
		return err
	}
	s.Do(func() { take(batches) })
	w.Header().Set("Content-Type", "application/x-protobuf")
	return nil
}

func (s *Server) samples(w http.ResponseWriter, r *http.Request, d *decoders) error {
	decode := d.samples.V1
	two := strings.Contains(r.Header.Get("Content-Type"), "io.prometheus.write.v2.Request")
	if two {
		decode = d.samples.V2
	}
	samples, err := decode(d.plain)
	if err != nil {
		return err
	}
	if n := d.samples.Skipped(); n > 0 {
		return fmt.Errorf("%d samples are no good", n)
	}
	s.Do(func() { s.Samples(samples) })
	if two { // the specification wants the sender told what was written
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(len(samples)))
		w.Header().Set("X-Prometheus-Remote-Write-Histograms-Written", "0")
		w.Header().Set("X-Prometheus-Remote-Write-Exemplars-Written", strconv.Itoa(exemplars(samples)))
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func exemplars(samples []telemetry.Sample) int {
	n := 0
	for i := range samples {
		n += len(samples[i].Exemplars)
	}
	return n
}
