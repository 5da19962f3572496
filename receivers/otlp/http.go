package otlp

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/braidhq/braid/receivers/intake"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
)

const (
	protobufType = "application/x-protobuf"
	jsonType     = "application/json"
)

// Handler serves POST /v1/logs and /v1/traces (OTLP/HTTP). It answers /v1/metrics with 404 and the way metrics take.
func (r *Receiver) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/logs", func(w http.ResponseWriter, req *http.Request) { r.serve(w, req, telemetry.Logs) })
	mux.HandleFunc("/v1/traces", func(w http.ResponseWriter, req *http.Request) { r.serve(w, req, telemetry.Spans) })
	mux.HandleFunc("/v1/metrics", func(w http.ResponseWriter, req *http.Request) {
		refuse(w, req, http.StatusNotFound, 0, errors.New(
			"metrics are not taken by OTLP: send them by Prometheus remote-write to /api/v1/write, or have them scraped"))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		refuse(w, req, http.StatusNotFound, 0, fmt.Errorf("no such path: %s; OTLP is taken at /v1/logs and /v1/traces", req.URL.Path))
	})
	return mux
}

func (r *Receiver) serve(w http.ResponseWriter, req *http.Request, s telemetry.Signal) {
	err := r.post(w, req, s)
	if err == nil {
		r.metrics.answered(s, "http", http.StatusOK)
		succeed(w, req)
		return
	}
	status, retry := intake.Answer(err)
	r.metrics.answered(s, "http", status)
	refuse(w, req, status, retry, err)
}

func (r *Receiver) post(w http.ResponseWriter, req *http.Request, s telemetry.Signal) error {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return &intake.Refusal{Status: http.StatusMethodNotAllowed, Err: fmt.Errorf("method %s is not POST", req.Method)}
	}
	f := telemetry.Frame{Signal: s, Encoding: telemetry.OTLP}
	mediaType, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil || (mediaType != protobufType && mediaType != jsonType) {
		return unsupported(fmt.Errorf("Content-Type %q is neither %s nor %s", req.Header.Get("Content-Type"), protobufType, jsonType))
	}
	if f.Compression, err = compression.ParseEncoding(req.Header.Get("Content-Encoding")); err != nil {
		return unsupported(err)
	}
	if f.Compression == telemetry.Snappy {
		return unsupported(errors.New("OTLP is not taken in snappy: use gzip or zstd"))
	}
	if err := intake.Mark(&f, req.Header.Get); err != nil {
		return err
	}
	body, err := r.gate.Read(w, req)
	if err != nil {
		return err
	}
	rd := r.begin(body.Bytes, body.Release)
	defer rd.decoded.Release()
	return r.take(req.Context(), f, rd, mediaType == jsonType)
}

func unsupported(err error) error {
	return &intake.Refusal{Status: http.StatusUnsupportedMediaType, Err: err}
}

// isJSON says which of the two encodings the sender reads; one that named neither gets protobuf.
func isJSON(req *http.Request) bool {
	return strings.Contains(req.Header.Get("Content-Type"), "json")
}

// succeed answers with an empty Export*ServiceResponse: nothing was rejected.
func succeed(w http.ResponseWriter, req *http.Request) {
	if isJSON(req) {
		w.Header().Set("Content-Type", jsonType)
		_, _ = w.Write([]byte("{}"))
		return
	}
	w.Header().Set("Content-Type", protobufType)
	w.WriteHeader(http.StatusOK)
}

// refuse answers with a google.rpc.Status, as OTLP asks for on every 4xx and 5xx.
func refuse(w http.ResponseWriter, req *http.Request, status, retrySeconds int, err error) {
	contentType, body := statusBody(isJSON(req), status, retrySeconds, err)
	w.Header().Set("Content-Type", contentType)
	if retrySeconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(retrySeconds))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
