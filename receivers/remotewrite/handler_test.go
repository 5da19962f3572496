package remotewrite

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"go.uber.org/goleak"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keeper is an Appender that keeps copies, or answers err.
type keeper struct {
	frames []telemetry.Frame
	err    error
}

func (k *keeper) Append(_ context.Context, frames []telemetry.Frame) error {
	if k.err != nil {
		return k.err
	}
	for _, f := range frames {
		f.Body = slices.Clone(f.Body)
		k.frames = append(k.frames, f)
	}
	return nil
}

const (
	typeV1 = "application/x-protobuf"
	typeV2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
)

func requestV1() prompb.WriteRequest {
	return prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
		Labels:     []prompb.Label{{Name: "__name__", Value: "up"}, {Name: "job", Value: "a"}},
		Samples:    []prompb.Sample{{Value: 1, Timestamp: 1000}, {Value: 1, Timestamp: 2000}},
		Exemplars:  []prompb.Exemplar{{Labels: []prompb.Label{{Name: "trace_id", Value: "x"}}, Value: 1, Timestamp: 1000}},
		Histograms: []prompb.Histogram{{Timestamp: 3000, Count: &prompb.Histogram_CountInt{CountInt: 0}}},
	}}}
}

func bodyV1(t testing.TB) []byte {
	r := requestV1()
	return packed(t, r.Marshal)
}

func requestV2() writev2.Request {
	return writev2.Request{
		Symbols: []string{"", "__name__", "up", "trace_id", "x"},
		Timeseries: []writev2.TimeSeries{{
			LabelsRefs: []uint32{1, 2},
			Samples:    []writev2.Sample{{Value: 1, Timestamp: 1000, StartTimestamp: 1}, {Value: 1, Timestamp: 2000}},
			Exemplars:  []writev2.Exemplar{{LabelsRefs: []uint32{3, 4}, Value: 1, Timestamp: 1000}},
		}, {
			LabelsRefs: []uint32{1, 2},
			Histograms: []writev2.Histogram{{Timestamp: 3000, Count: &writev2.Histogram_CountInt{CountInt: 0}}},
		}},
	}
}

func bodyV2(t testing.TB) []byte {
	r := requestV2()
	return packed(t, r.Marshal)
}

func packed(t testing.TB, marshal func() ([]byte, error)) []byte {
	t.Helper()
	plain, err := marshal()
	if err != nil {
		t.Fatal(err)
	}
	return compression.Compress(nil, plain, telemetry.Snappy)
}

func post(h http.Handler, contentType, encoding string, body []byte) *http.Response {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/write", bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Content-Encoding", encoding)
	r.Header.Set("X-Scope-OrgID", "team-a")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func written(resp *http.Response) [3]string {
	var got [3]string
	for i, what := range []string{"Samples", "Histograms", "Exemplars"} {
		got[i] = resp.Header.Get("X-Prometheus-Remote-Write-" + what + "-Written")
	}
	return got
}

func TestRequestsAreKeptAsTheyCame(t *testing.T) {
	cases := []struct {
		contentType string
		encoding    telemetry.Encoding
		body        []byte
		written     [3]string
	}{
		{typeV1, telemetry.RemoteWrite1, bodyV1(t), [3]string{}},
		{"application/x-protobuf; proto=prometheus.WriteRequest", telemetry.RemoteWrite1, bodyV1(t), [3]string{}},
		{typeV2, telemetry.RemoteWrite2, bodyV2(t), [3]string{"2", "1", "1"}},
	}
	for _, c := range cases {
		k := &keeper{}
		resp := post(New(k, Options{}), c.contentType, "snappy", c.body)
		if resp.StatusCode != 204 || written(resp) != c.written {
			t.Fatalf("%s: %s, written %q", c.contentType, resp.Status, written(resp))
		}
		if len(k.frames) != 1 {
			t.Fatalf("%s: %d frames", c.contentType, len(k.frames))
		}
		f := k.frames[0]
		if f.Signal != telemetry.Samples || f.Encoding != c.encoding || f.Compression != telemetry.Snappy ||
			f.Tenant != "team-a" || !bytes.Equal(f.Body, c.body) {
			t.Fatalf("%s: kept %+v", c.contentType, f)
		}
	}
}

// The truth about remote-write is Prometheus' own client.
func TestPrometheusClient(t *testing.T) {
	k := &keeper{}
	srv := httptest.NewServer(New(k, Options{}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	retries := 0
	client, err := remoteapi.NewAPI(srv.URL, remoteapi.WithAPIHTTPClient(srv.Client()),
		remoteapi.WithAPIBackoff(remoteapi.BackoffConfig{Min: time.Millisecond, Max: time.Millisecond, MaxRetries: 2}))
	if err != nil {
		t.Fatal(err)
	}
	write := func(m remoteapi.WriteMessageType, message any) (remoteapi.WriteResponseStats, error) {
		retries = 0
		return client.Write(ctx, m, message, remoteapi.WithWriteRetryCallback(func(error) { retries++ }))
	}
	v1, v2 := requestV1(), requestV2()
	if _, err := write(remoteapi.WriteV1MessageType, &v1); err != nil {
		t.Fatal(err)
	}
	stats, err := write(remoteapi.WriteV2MessageType, &v2)
	if err != nil || stats.Samples != 2 || stats.Histograms != 1 || stats.Exemplars != 1 {
		t.Fatalf("%+v, %v", stats, err)
	}
	if len(k.frames) != 2 || !bytes.Equal(unpacked(t, k.frames[0]), unpacked(t, telemetry.Frame{Body: bodyV1(t)})) {
		t.Fatalf("%d frames", len(k.frames))
	}
	k.err = errors.New("disk")
	if _, err := write(remoteapi.WriteV2MessageType, &v2); err == nil || retries == 0 {
		t.Fatalf("503 is not tried again: %v", err)
	}
	k.err = telemetry.Permanent(errors.New("never"))
	if _, err := write(remoteapi.WriteV2MessageType, &v2); err == nil || retries != 0 {
		t.Fatalf("400 is tried again: %v", err)
	}
}

func unpacked(t *testing.T, f telemetry.Frame) []byte {
	t.Helper()
	plain, err := compression.Decompress(nil, f.Body, telemetry.Snappy, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestRefusals(t *testing.T) {
	const limit = 64 << 10
	good := bodyV2(t)
	garbage := compression.Compress(nil, []byte("\xff\xff garbage"), telemetry.Snappy)
	bomb := compression.Compress(nil, make([]byte, 16<<20), telemetry.Snappy)
	// A snappy block that claims 4 GiB and holds nothing.
	liar := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	cases := []struct {
		name, contentType, encoding string
		body                        []byte
		want                        int
	}{
		{"garbage 1.0", typeV1, "snappy", garbage, 400},
		{"garbage 2.0", typeV2, "snappy", garbage, 400},
		{"no snappy", typeV2, "snappy", []byte("\xff\xff\xff\xff\xff\xff"), 400},
		{"cut short", typeV2, "snappy", good[:len(good)-2], 400},
		{"empty", typeV2, "snappy", nil, 400},
		{"too large", typeV2, "snappy", make([]byte, limit+1), 413},
		{"bomb", typeV2, "snappy", bomb, 413},
		{"liar", typeV1, "snappy", liar, 413},
		{"gzip", typeV2, "gzip", good, 415},
		{"no encoding", typeV2, "", good, 415},
		{"json", "application/json", "snappy", good, 415},
		{"no content type", "", "snappy", good, 415},
		{"another message", "application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy", good, 415},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			k := &keeper{}
			h := New(k, Options{MaxBodyBytes: limit})
			resp := post(h, c.contentType, c.encoding, c.body)
			if resp.StatusCode != c.want {
				t.Fatalf("got %s, want %d", resp.Status, c.want)
			}
			if c.contentType == typeV2 && written(resp) != [3]string{"0", "0", "0"} {
				t.Errorf("written %q", written(resp))
			}
			if len(k.frames) != 0 || h.(*handler).gate.Held() != 0 {
				t.Errorf("%d frames kept, %d bytes charged", len(k.frames), h.(*handler).gate.Held())
			}
		})
	}
}

func TestAppenderErrorsBecomeAnswers(t *testing.T) {
	for want, err := range map[int]error{
		429: telemetry.Throttled(errors.New("the lane is full"), 1500*time.Millisecond),
		503: errors.New("disk"),
	} {
		resp := post(New(&keeper{err: err}, Options{}), typeV2, "snappy", bodyV2(t))
		retry := map[int]string{429: "2"}[want]
		if resp.StatusCode != want || resp.Header.Get("Retry-After") != retry || written(resp) != [3]string{"0", "0", "0"} {
			t.Errorf("%v: %s, Retry-After %q, written %q", err, resp.Status, resp.Header.Get("Retry-After"), written(resp))
		}
	}
}

func TestOnlyPOST(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/api/v1/write", nil)
	r.Header.Set("Content-Type", typeV1)
	w := httptest.NewRecorder()
	New(&keeper{}, Options{}).ServeHTTP(w, r)
	if w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Fatalf("%d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func FuzzBody(f *testing.F) {
	f.Add(true, bodyV1(f))
	f.Add(false, bodyV2(f))
	f.Fuzz(func(t *testing.T, v1 bool, body []byte) {
		k := &keeper{}
		h := New(k, Options{MaxBodyBytes: 1 << 20})
		contentType := typeV2
		if v1 {
			contentType = typeV1
		}
		resp := post(h, contentType, "snappy", body)
		partial := !v1 && resp.StatusCode == 400 // bad labels in some series
		if resp.StatusCode != 204 && !partial && len(k.frames) != 0 {
			t.Fatalf("%s, and yet %d frames were kept", resp.Status, len(k.frames))
		}
		if held := h.(*handler).gate.Held(); held != 0 {
			t.Fatalf("%d bytes are still charged", held)
		}
	})
}

func TestPartialWrite(t *testing.T) {
	r := requestV2()
	r.Timeseries = append(r.Timeseries, writev2.TimeSeries{LabelsRefs: []uint32{3, 4}, Samples: []writev2.Sample{{Value: 1, Timestamp: 1}}})
	k := &keeper{}
	resp := post(New(k, Options{}), typeV2, "snappy", packed(t, r.Marshal))
	if resp.StatusCode != 400 || written(resp) != [3]string{"2", "1", "1"} || len(k.frames) != 1 {
		t.Fatalf("a series without name among others: %s, written %q, %d frames", resp.Status, written(resp), len(k.frames))
	}
}
