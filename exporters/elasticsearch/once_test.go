package elasticsearch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/braidhq/braid/telemetry"
)

var errCut = errors.New("connection cut (by the test)")

// forwardThenCut lets a bulk reach the cluster and loses its answer.
func (c *cluster) forwardThenCut(r *http.Request, body []byte) (*http.Response, error) {
	response, err := c.faults.forward(r, body)
	if err != nil {
		return nil, err
	}
	_, _ = io.Copy(io.Discard, response.Body)
	response.Body.Close()
	return nil, errCut
}

// once makes the next bulk go through f, and those after it go right.
func (c *cluster) once(f func(r *http.Request, body []byte) (*http.Response, error)) {
	c.faults.onBulk(func(r *http.Request, body []byte) (*http.Response, error) {
		c.faults.onBulk(nil)
		return f(r, body)
	})
}

func (c *cluster) expect(stream string, n int) {
	c.t.Helper()
	if got := len(c.documents(stream)); got != n {
		c.t.Errorf("%d documents in %s, want %d", got, stream, n)
	}
}

func TestAnAnswerLostAndARolloverStoreNothingTwice(t *testing.T) {
	c := newCluster(t)
	e := c.exporter()
	write(t, e, []*telemetry.Batch{logBatch(0, 0, 100, 1)})
	c.once(func(r *http.Request, body []byte) (*http.Response, error) {
		response, err := c.forwardThenCut(r, body)
		c.rollover(c.o.LogsDataStream)
		c.rollover(c.o.LogsDataStream)
		return response, err
	})
	batches := []*telemetry.Batch{logBatch(0, 100, 100, 2), logBatch(1, 0, 100, 2)}
	if err := e.Write(t.Context(), batches); !errors.Is(err, errCut) || telemetry.IsPermanent(err) {
		t.Fatalf("write over a cut connection: %v", err)
	}
	batches = append(batches, logBatch(2, 0, 10, 2)) // joined the same call, was never sent
	write(t, e, batches)
	c.expect(c.o.LogsDataStream, 310)
	if n := result(e, c.o.LogsDataStream, "already"); n != 200 {
		t.Errorf("%v documents found stored, want 200", n)
	}
	if n := result(e, c.o.LogsDataStream, "conflict"); n != 0 {
		t.Errorf("%v conflicts", n)
	}
}

func TestABulkThatNeverArrivedIsSentAgain(t *testing.T) {
	c := newCluster(t)
	e := c.exporter()
	c.once(func(*http.Request, []byte) (*http.Response, error) { return nil, errCut })
	batches := []*telemetry.Batch{logBatch(0, 0, 100, 1), spanBatch(0, 100, 1)}
	if err := e.Write(t.Context(), batches); err == nil {
		t.Fatal("write over a cut connection succeeds")
	}
	c.rollover(c.o.LogsDataStream)
	write(t, e, batches)
	c.expect(c.o.LogsDataStream, 100)
	c.expect(c.o.TracesDataStream, 100)
}

func TestARestartAfterARolloverStoresNothingTwice(t *testing.T) {
	c := newCluster(t)
	received := func(n int) int64 { return int64(n) * 10 * reserve }
	batch := func(n int) []*telemetry.Batch { return []*telemetry.Batch{logBatch(0, n*50, 50, received(n))} }
	first := c.exporter()
	for n := range 3 {
		write(t, first, batch(n))
		c.rollover(c.o.LogsDataStream)
	}
	// The process dies before its queue has noted any of it, and the next one is given all of it again.
	second := c.exporter()
	for n := range 5 {
		write(t, second, batch(n))
	}
	c.expect(c.o.LogsDataStream, 250)
	if n := result(second, c.o.LogsDataStream, "conflict"); n != 0 {
		t.Errorf("%v conflicts after a restart", n)
	}
	if n := result(second, c.o.LogsDataStream, "already"); n != 150 {
		t.Errorf("%v documents found stored, want 150", n)
	}
	if n := second.logs.state.sentUpTo(c.o.LogsDataStream); n < received(4) {
		t.Errorf("sent up to %d, persisted %d", received(4), n)
	}
}

func TestADocumentThatAnotherSentIsASuccess(t *testing.T) {
	c := newCluster(t)
	batches := []*telemetry.Batch{logBatch(0, 0, 50, 1)}
	write(t, c.exporter(), batches)
	c.o.StateDir = t.TempDir() // an exporter that knows nothing of the first
	e := c.exporter()
	write(t, e, batches)
	c.expect(c.o.LogsDataStream, 50)
	if n := result(e, c.o.LogsDataStream, "conflict"); n != 50 {
		t.Errorf("%v conflicts counted, want 50", n)
	}
	if n := result(e, c.o.LogsDataStream, "refused"); n != 0 {
		t.Errorf("%v documents in the dead letter", n)
	}
}

func TestWhatIsSentIsOnDiskBeforeTheFirstBulk(t *testing.T) {
	c := newCluster(t)
	batches := []*telemetry.Batch{logBatch(0, 0, 50, 1)}
	c.once(c.forwardThenCut)
	if err := c.exporter().Write(t.Context(), batches); !errors.Is(err, errCut) {
		t.Fatalf("write: %v", err)
	}
	c.rollover(c.o.LogsDataStream)
	write(t, c.exporter(), batches)
	c.expect(c.o.LogsDataStream, 50)
}

func TestNothingInDoubtIsSentWhileAnOlderBulkRuns(t *testing.T) {
	c := newCluster(t)
	e := c.exporter()
	batches := []*telemetry.Batch{logBatch(0, 0, 20, 1)}
	var late struct {
		request *http.Request
		body    []byte
	}
	c.once(func(r *http.Request, body []byte) (*http.Response, error) { // the cluster is slow: the bulk runs on
		late.request, late.body = r, body
		return nil, errCut
	})
	if err := e.Write(t.Context(), batches); err == nil {
		t.Fatal("write over a cut connection succeeds")
	}
	looks := 0
	o := c.o
	o.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/_bulk") && looks < 4 {
			t.Error("a bulk is sent while an older one runs")
		}
		if r.URL.Path != "/_tasks" {
			return http.DefaultTransport.RoundTrip(r)
		}
		looks++
		if looks <= 3 {
			return answerWith(200, fmt.Sprintf(`{"tasks":[{"headers":{"X-Opaque-Id":"other"}},{"headers":{"X-Opaque-Id":%q}}]}`, e.logs.opaqueID)), nil
		}
		if looks == 4 {
			late.request.Body = io.NopCloser(bytes.NewReader(late.body))
			response, err := http.DefaultTransport.RoundTrip(late.request.WithContext(t.Context()))
			if err != nil || response.StatusCode != http.StatusOK {
				t.Errorf("late bulk: %v", err)
			}
			response.Body.Close()
			c.rollover(c.o.LogsDataStream)
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	client, err := newClient(o)
	if err != nil {
		t.Fatal(err)
	}
	e.logs.client = client
	write(t, e, batches)
	c.expect(c.o.LogsDataStream, 20)
	if looks < 5 {
		t.Errorf("%d looks at the task list", looks)
	}
}

// TestTheTaskListShowsOurBulks holds the real server to what awaitIdle stands on.
func TestTheTaskListShowsOurBulks(t *testing.T) {
	c := newCluster(t)
	e := c.exporter()
	write(t, e, []*telemetry.Batch{logBatch(0, 0, 1, 1)})
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := e.Write(t.Context(), []*telemetry.Batch{logBatch(0, n*2000, 2000, 1)}); err != nil {
				t.Errorf("write: %v", err)
				return
			}
		}
	}()
	seen := 0
	for range 2000 {
		n, err := c.client.running(t.Context(), e.logs.opaqueID)
		if err != nil {
			t.Fatal(err)
		}
		if seen += n; seen > 0 {
			break
		}
	}
	close(stop)
	<-done
	if seen == 0 {
		t.Error("no bulk of ours was ever listed")
	}
}

func TestExactlyOnceThroughFaultsRolloversAndRestarts(t *testing.T) {
	const seed = 20261121
	rnd := rand.New(rand.NewPCG(seed, 0))
	c := newCluster(t)
	c.o.MaxBulkBytes = 25 << 10 // several bulks a call
	rollover := func() { c.rollover([]string{c.o.LogsDataStream, c.o.TracesDataStream}[rnd.IntN(2)]) }
	e := c.exporter()
	write(t, e, []*telemetry.Batch{logBatch(0, 0, 1, 1), spanBatch(0, 1, 1)})
	var log []string
	faulty := func(r *http.Request, body []byte) (*http.Response, error) {
		fault := rnd.IntN(10)
		log = append(log, fmt.Sprint(fault))
		switch fault {
		case 0:
			return nil, errCut
		case 1:
			return c.forwardThenCut(r, body)
		case 2:
			response, err := c.forwardThenCut(r, body)
			rollover()
			return response, err
		case 3:
			rollover()
		case 4:
			return answerWith(http.StatusTooManyRequests, `{"error":{"type":"es_rejected_execution_exception","reason":"(by the test)"}}`), nil
		case 5:
			response, err := c.forwardThenCut(r, body)
			_ = response
			_ = err
			return answerWith(http.StatusGatewayTimeout, `<html>`), nil
		}
		return c.faults.forward(r, body)
	}
	const calls, perCall = 12, 100
	conflicts := 0.0
	for n := range calls {
		received := int64(n) * reserve / 2
		batches := []*telemetry.Batch{logBatch(1, n*perCall, perCall, received), logBatch(2, n*perCall, perCall, received), spanBatch(1+n*perCall, perCall, received)}
		c.faults.onBulk(faulty)
		for attempt := 0; ; attempt++ {
			err := e.Write(t.Context(), batches)
			if err == nil && (n == calls-1 || rnd.IntN(8) > 0) {
				break // else: the process dies before its queue notes it, and it comes again
			}
			if telemetry.IsPermanent(err) || attempt > 100 {
				t.Fatalf("write: %v", err)
			}
			if err == nil || rnd.IntN(4) == 0 {
				conflicts += result(e, c.o.LogsDataStream, "conflict") + result(e, c.o.TracesDataStream, "conflict")
				e = c.exporter()
				log = append(log, "restart")
			}
		}
	}
	c.faults.onBulk(nil)
	t.Logf("seed %d: %s", seed, strings.Join(log, " "))
	c.expect(c.o.LogsDataStream, 1+2*calls*perCall)
	c.expect(c.o.TracesDataStream, 1+calls*perCall)
	conflicts += result(e, c.o.LogsDataStream, "conflict") + result(e, c.o.TracesDataStream, "conflict")
	if conflicts != 0 {
		t.Errorf("%v conflicts", conflicts)
	}
}

// refuseItems forwards a bulk without the items that refuse names and answers for them with status.
func (c *cluster) refuseItems(r *http.Request, body []byte, status int, refuse func(n int) bool) (*http.Response, error) {
	lines := bytes.SplitAfter(body, []byte("\n"))
	var rest []byte
	var refused []bool
	for n := 0; 2*n+1 < len(lines); n++ {
		refused = append(refused, refuse(n))
		if !refused[n] {
			rest = append(append(rest, lines[2*n]...), lines[2*n+1]...)
		}
	}
	var answer struct {
		Errors bool              `json:"errors"`
		Items  []json.RawMessage `json:"items"`
	}
	if len(rest) > 0 {
		response, err := c.faults.forward(r, rest)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			return nil, err
		}
	}
	var items []json.RawMessage
	for _, no := range refused {
		if no {
			items = append(items, fmt.Appendf(nil, `{"create":{"status":%d,"error":{"type":"rejected","reason":"by the test"}}}`, status))
			continue
		}
		items, answer.Items = append(items, answer.Items[0]), answer.Items[1:]
	}
	answer.Errors, answer.Items = true, items
	b, err := json.Marshal(answer)
	return answerWith(http.StatusOK, string(b)), err
}

func TestItemsRefusedForNowAreSentAgainAlone(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			c := newCluster(t)
			c.o.Compression = telemetry.Identity
			e := c.exporter()
			var sizes []int
			c.faults.onBulk(func(r *http.Request, body []byte) (*http.Response, error) {
				sizes = append(sizes, bytes.Count(body, []byte("\n"))/2)
				return c.refuseItems(r, body, status, func(n int) bool { return len(sizes) < 3 && n%5 == 0 })
			})
			if err := e.Write(t.Context(), []*telemetry.Batch{logBatch(0, 0, 100, 1)}); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(sizes) != "[100 20 4]" {
				t.Errorf("bulks of %v items", sizes)
			}
			c.expect(c.o.LogsDataStream, 100)
			if n := result(e, c.o.LogsDataStream, "conflict"); n != 0 {
				t.Errorf("%v conflicts", n)
			}
		})
	}
}

func TestItemsOfUnknownFateAreLookedUp(t *testing.T) {
	c := newCluster(t)
	c.o.Compression = telemetry.Identity
	e := c.exporter()
	c.once(func(r *http.Request, body []byte) (*http.Response, error) {
		response, err := c.forwardThenCut(r, body) // all are stored
		if response != nil || !errors.Is(err, errCut) {
			t.Errorf("bulk: %v", err)
		}
		c.rollover(c.o.LogsDataStream)
		return c.refuseItems(r, body, http.StatusInternalServerError, func(int) bool { return true })
	})
	if err := e.Write(t.Context(), []*telemetry.Batch{logBatch(0, 0, 100, 1)}); err != nil {
		t.Fatal(err)
	}
	c.expect(c.o.LogsDataStream, 100)
	if n := result(e, c.o.LogsDataStream, "already"); n != 100 {
		t.Errorf("%v documents found stored", n)
	}
}

func TestItemsRefusedForLongMakeTheCallerWait(t *testing.T) {
	c := newCluster(t)
	c.o.Compression = telemetry.Identity
	e := c.exporter()
	c.faults.onBulk(func(r *http.Request, body []byte) (*http.Response, error) {
		return c.refuseItems(r, body, http.StatusTooManyRequests, func(n int) bool { return n == 0 })
	})
	batches := []*telemetry.Batch{logBatch(0, 0, 100, 1)}
	err := e.Write(t.Context(), batches)
	if _, throttled := telemetry.RetryAfter(err); !throttled {
		t.Fatalf("write: %v", err)
	}
	c.rollover(c.o.LogsDataStream)
	c.faults.onBulk(nil)
	write(t, e, batches)
	c.expect(c.o.LogsDataStream, 100)
}
