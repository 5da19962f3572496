package elasticsearch

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/braidhq/braid/telemetry"
)

func TestEveryRecordIsStoredOnceAsItIs(t *testing.T) {
	c := newCluster(t)
	e := c.exporter()
	const files, perFile, frames = 10, 2000, 10
	var want []string
	var batches []*telemetry.Batch
	for frame := range frames {
		batches = batches[:0]
		for file := range files {
			b := logBatch(byte(file), frame*perFile/frames, perFile/frames, int64(1000+frame))
			batches = append(batches, b)
			for i := range b.Logs {
				want = append(want, fmt.Sprintf("%s %s", b.Logs[i].UID, b.Logs[i].Body))
			}
		}
		batches = append(batches, spanBatch(frame*100, 100, int64(1000+frame)))
		if err := e.Write(t.Context(), batches); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for id, source := range c.documents(c.o.LogsDataStream) {
		var d struct{ Message string }
		if err := json.Unmarshal([]byte(source), &d); err != nil {
			t.Fatal(err)
		}
		got = append(got, id+" "+d.Message)
	}
	if digest(got) != digest(want) {
		t.Errorf("logs: stored %s, sent %s", digest(got), digest(want))
	}
	if n := len(c.documents(c.o.TracesDataStream)); n != frames*100 {
		t.Errorf("%d spans stored, %d sent", n, frames*100)
	}
	for _, what := range []string{"conflict", "already", "refused"} {
		if n := result(e, c.o.LogsDataStream, what) + result(e, c.o.TracesDataStream, what); n != 0 {
			t.Errorf("%v documents %s in a run without faults", n, what)
		}
	}
	if n := result(e, c.o.LogsDataStream, "stored"); n != files*perFile {
		t.Errorf("metric says %v stored", n)
	}
}

func TestDocumentsAreFoundByTraceAndField(t *testing.T) {
	c := newCluster(t)
	write(t, c.exporter(), []*telemetry.Batch{logBatch(1, 0, 50, 1), spanBatch(0, 50, 1)})
	c.refresh(c.o.LogsDataStream)
	c.refresh(c.o.TracesDataStream)
	for _, query := range []string{
		`{"term":{"trace.id":"01000000000000000000000000000007"}}`,
		`{"term":{"attributes.n":"7"}}`,
		`{"bool":{"filter":[{"term":{"labels.k8s.deployment.name":"cart"}},{"term":{"log.offset":800}}]}}`,
		`{"match_phrase":{"message":"line 7"}}`,
		`{"range":{"@timestamp":{"gte":"2026-11-20T10:00:00.007000007Z","lt":"2026-11-20T10:00:00.007000008Z"}}}`,
		`{"bool":{"filter":[{"term":{"kubernetes.pod.name":"cart-1"}},{"term":{"event.severity":8}},{"term":{"log.level":"debug"}},{"range":{"log.offset":{"lt":1000}}}]}}`,
	} {
		var answer struct {
			Hits struct{ Hits []hit }
		}
		err := c.client.call(t.Context(), request{
			method: http.MethodPost, path: "/" + c.o.LogsDataStream + "/_search", body: []byte(`{"query":` + query + `}`),
		}, &answer)
		if err != nil || len(answer.Hits.Hits) != 1 {
			t.Errorf("%s finds %d documents, %v", query, len(answer.Hits.Hits), err)
		}
	}
}

func TestAnAbsentClusterIsAnErrorThatPasses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	l.Close()
	e, err := New(Options{URLs: []string{url}, StateDir: t.TempDir()})
	if err != nil {
		t.Fatalf("New needs the cluster: %v", err)
	}
	err = e.Write(t.Context(), []*telemetry.Batch{logBatch(0, 0, 1, 1)})
	if err == nil || telemetry.IsPermanent(err) {
		t.Errorf("write to nowhere: %v", err)
	}
}

func TestAServerThatIsNotElasticsearchIsRefused(t *testing.T) {
	c := newCluster(t)
	c.o.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		response, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			response.Header.Del("X-Elastic-Product")
		}
		return response, err
	})
	if err := c.exporter().Write(t.Context(), []*telemetry.Batch{logBatch(0, 0, 1, 1)}); err == nil || telemetry.IsPermanent(err) {
		t.Errorf("write: %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSamplesAreRefusedForGood(t *testing.T) {
	e, err := New(Options{URLs: []string{"http://127.0.0.1:1"}, StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Write(t.Context(), []*telemetry.Batch{{Samples: make([]telemetry.Sample, 1)}}); !telemetry.IsPermanent(err) {
		t.Errorf("write of samples: %v", err)
	}
}

func TestDataStreamNamesAreChecked(t *testing.T) {
	for _, bad := range []string{"logs,other", "logs-*", "Logs", "_bulk", "a/b", "-a", ".a", "a b"} {
		if _, err := New(Options{URLs: []string{"http://127.0.0.1:1"}, StateDir: t.TempDir(), LogsDataStream: bad}); err == nil {
			t.Errorf("data stream %q is taken", bad)
		}
	}
}
