package elasticsearch

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/braidhq/braid/exporters/elasticsearch/ecs"
	"github.com/braidhq/braid/telemetry"
)

func attr(key, value string) telemetry.Attr {
	return telemetry.Attr{Key: key, Value: telemetry.String(value)}
}

// deepJSON is nested deeper than a flattened field takes.
var deepJSON = strings.Repeat(`{"a":`, 30) + "1" + strings.Repeat("}", 30)

func TestAttributesThatTheMappingRefusesAreKeptAsText(t *testing.T) {
	c := newCluster(t)
	e := c.exporter()
	b := logBatch(0, 0, 10, 1)
	b.Logs[3].Attrs = []telemetry.Attr{attr("kept", "yes"), {Key: "deep", Value: telemetry.Value{Kind: telemetry.JSONValue, Str: deepJSON}}}
	b.Logs[5].Attrs = []telemetry.Attr{attr(strings.Repeat("k", 40_000), "v")}
	b.Logs[7].UnixNano = -1
	write(t, e, []*telemetry.Batch{b})
	c.expect(c.o.LogsDataStream, 10)
	if n := result(e, c.o.LogsDataStream, "refused"); n != 0 {
		t.Errorf("%v documents in the dead letter", n)
	}
	if n := testutil.ToFloat64(e.logs.metrics.retries); n != 3 {
		t.Errorf("%v documents sent again, want 3", n)
	}
	lines := c.lines(telemetry.LogQuery{})
	byUID := map[telemetry.UID]telemetry.LogRecord{}
	for _, l := range lines {
		byUID[l.UID] = l
	}
	for i := range b.Logs {
		got := byUID[b.Logs[i].UID]
		if string(got.Body) != string(b.Logs[i].Body) || !equalAttrs(got.Attrs, b.Logs[i].Attrs) {
			t.Errorf("line %d comes back as %q with %d attributes", i, got.Body, len(got.Attrs))
		}
	}
	if got := byUID[b.Logs[7].UID].UnixNano; got != 1 {
		t.Errorf("a line from before 1970 is stored at %d, not at its receive time", got)
	}
}

func TestWhatIsRefusedGoesToTheDeadLetterAndItsNeighboursAreStored(t *testing.T) {
	c := newCluster(t)
	// The operator's own mapping makes braid's documents impossible when the line is no number.
	put := func(body string) {
		err := c.client.call(t.Context(), request{method: http.MethodPut, path: "/_index_template/braid-" + c.o.LogsDataStream, body: []byte(body)}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	e := c.exporter()
	if err := e.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(`{"index_patterns":["` + c.o.LogsDataStream + `"],"priority":500,"data_stream":{},"composed_of":["braid-mappings"],
		"template":{"mappings":{"properties":{"message":{"type":"long"}}}}}`)
	b := logBatch(0, 0, 10, 1)
	for i := range b.Logs {
		b.Logs[i].Body = []byte("42")
	}
	b.Logs[4].Body = []byte("not \"a\" number \xff")
	write(t, e, []*telemetry.Batch{b, spanBatch(0, 5, 1)})
	c.expect(c.o.LogsDataStream, 9)
	c.expect(c.o.TracesDataStream, 5)
	dead := c.documents(c.o.DeadLetterDataStream)
	var letter struct {
		Event struct {
			Original string `json:"original"`
		} `json:"event"`
		Error      struct{ Type, Message string } `json:"error"`
		Kubernetes struct{ Namespace string }     `json:"kubernetes"`
		Braid      struct {
			Stream string `json:"data_stream"`
		} `json:"braid"`
	}
	if err := json.Unmarshal([]byte(dead[b.Logs[4].UID.String()]), &letter); err != nil {
		t.Fatalf("%d dead letters, %v", len(dead), err)
	}
	if letter.Error.Type != "document_parsing_exception" || !strings.Contains(letter.Error.Message, "message") {
		t.Errorf("reason is %q %q", letter.Error.Type, letter.Error.Message)
	}
	if letter.Kubernetes.Namespace != "shop" || letter.Braid.Stream != c.o.LogsDataStream {
		t.Errorf("letter is %+v", letter)
	}
	var original telemetry.LogRecord
	if err := ecs.DecodeLog("", []byte(letter.Event.Original), &original); err != nil || string(original.Body) != string(b.Logs[4].Body) {
		t.Errorf("original is %s: %v", letter.Event.Original, err)
	}
	// Dead letters are for who may read Elasticsearch itself: the Reader shows none.
	c.refresh(c.o.LogsDataStream)
	for _, q := range []telemetry.LogQuery{{}, {TraceID: b.Logs[4].TraceID}, {Text: "number"}, {Namespaces: []string{"shop"}}} {
		for _, l := range c.lines(q) {
			if l.UID == b.Logs[4].UID || strings.Contains(string(l.Body), "number") {
				t.Errorf("%+v shows the dead letter %q", q, l.Body)
			}
		}
	}
	if trace, err := c.reader().Trace(t.Context(), "", b.Logs[4].TraceID); err != nil || len(trace.Logs) != 0 {
		t.Errorf("the trace has the dead letter: %+v, %v", trace, err)
	}
	// It comes again after a rollover of both, and is still there once.
	e = c.exporter()
	c.rollover(c.o.LogsDataStream)
	c.rollover(c.o.DeadLetterDataStream)
	write(t, e, []*telemetry.Batch{b})
	c.expect(c.o.LogsDataStream, 9)
	c.expect(c.o.DeadLetterDataStream, 1)
}

func TestABodyThatIsTooLargeIsHalvedDownToTheDocumentAtFault(t *testing.T) {
	c := newCluster(t)
	c.o.Compression = telemetry.Identity
	e := c.exporter()
	const limit = 40_000
	requests := 0
	c.faults.onBulk(func(r *http.Request, body []byte) (*http.Response, error) { // a proxy with a limit
		requests++
		if len(body) > limit {
			return answerWith(http.StatusRequestEntityTooLarge, "<html>"), nil
		}
		return c.faults.forward(r, body)
	})
	b := logBatch(0, 0, 200, 1)
	b.Logs[77].Body = []byte(strings.Repeat("é", limit))
	if err := e.Write(t.Context(), []*telemetry.Batch{b}); err != nil {
		t.Fatal(err)
	}
	c.expect(c.o.LogsDataStream, 199)
	if n := result(e, c.o.LogsDataStream, "conflict"); n != 0 {
		t.Errorf("%v conflicts", n)
	}
	dead := c.documents(c.o.DeadLetterDataStream)
	if letter := dead[b.Logs[77].UID.String()]; !strings.Contains(letter, `"original_cut":true`) || len(letter) > limit || !strings.Contains(letter, tooLarge) {
		t.Errorf("dead letter has %d bytes: %.300s", len(letter), letter)
	}
	if requests > 30 {
		t.Errorf("%d requests", requests)
	}
}

func TestADeadLetterThatIsRefusedTooHoldsUpNothing(t *testing.T) {
	c := newCluster(t)
	c.o.Compression = telemetry.Identity
	e := c.exporter()
	c.faults.onBulk(func(r *http.Request, body []byte) (*http.Response, error) {
		dead := strings.Contains(r.URL.Path, "dead")
		return c.refuseItems(r, body, http.StatusBadRequest, func(n int) bool { return dead || n%10 == 0 })
	})
	b := logBatch(0, 0, 11, 1)
	err := e.Write(t.Context(), []*telemetry.Batch{b, spanBatch(0, 5, 1)})
	if !telemetry.IsPermanent(err) {
		t.Errorf("write: %v", err)
	}
	c.expect(c.o.LogsDataStream, 10)
	c.expect(c.o.TracesDataStream, 4)
}
