package demo

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/braidhq/braid/demo/shop"
)

// maxInFlight bounds the customers who wait at once; further ones stay away until the shop is faster again.
const maxInFlight = 32

// A load is the shop's customers.
type load struct {
	base   string // of the frontend
	rate   float64
	dice   *rand.Rand // used by run alone
	client *http.Client

	mu       sync.Mutex
	requests int
	failures int
	badTrace string // trace id of the newest answer with a status of 500 and above
}

func newLoad(frontend string, rate float64, seed uint64) *load {
	return &load{
		base: "http://" + frontend, rate: rate, dice: rand.New(rand.NewPCG(seed, seed)),
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: maxInFlight}},
	}
}

// A request is one thing that a customer does.
type request struct{ method, path string }

// Of every so many requests the one with this number makes the catalog write its very long line.
const snapshotEvery, snapshotAt = 300, 20

// run sends requests until ctx ends and returns when all of them have been answered.
func (l *load) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer l.client.CloseIdleConnections()
	free := make(chan struct{}, maxInFlight)
	tick := time.NewTicker(time.Duration(float64(time.Second) / l.rate))
	defer tick.Stop()
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case free <- struct{}{}:
			next := l.pick(n)
			wg.Go(func() { l.send(next); <-free })
			n++
		default:
		}
	}
}

// pick says what customer number n does. The first one fails, so that there is an error to look at; most others are
// diced: half of them only look, some are slow, some fail.
func (l *load) pick(n int) request {
	switch {
	case n == 0:
		return request{http.MethodPost, "/checkout/user-0?card=" + shop.CardBroken}
	case n%snapshotEvery == snapshotAt:
		return request{http.MethodGet, "/?snapshot=1"}
	}
	user := fmt.Sprintf("user-%d", l.dice.IntN(50))
	switch n := l.dice.IntN(100); {
	case n < 45:
		return request{http.MethodGet, "/"}
	case n < 64:
		return request{http.MethodGet, fmt.Sprintf("/products/%d", l.dice.IntN(shop.Products))}
	case n < 65:
		return request{http.MethodGet, "/products/999"}
	case n < 82:
		return request{http.MethodPost, fmt.Sprintf("/cart/%s?product=%d", user, l.dice.IntN(shop.Products))}
	case n < 94:
		return request{http.MethodPost, "/checkout/" + user + "?card=" + shop.CardGood}
	case n < 95:
		return request{http.MethodPost, "/checkout/" + user + "?card=" + shop.CardNoReceipt}
	case n < 97:
		return request{http.MethodPost, "/checkout/" + user + "?card=" + shop.CardDeclined}
	case n < 99:
		return request{http.MethodPost, "/checkout/" + user + "?card=" + shop.CardSlow}
	default:
		return request{http.MethodPost, "/checkout/" + user + "?card=" + shop.CardBroken}
	}
}

// send does not end with the load: whoever has come in is served.
func (l *load) send(r request) {
	status, traceID := 0, ""
	req, err := http.NewRequest(r.method, l.base+r.path, http.NoBody)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	if resp, err := l.client.Do(req); err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		status, traceID = resp.StatusCode, resp.Header.Get("X-Trace-Id")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	if status == 0 || status >= 400 {
		l.failures++
	}
	if status >= 500 && traceID != "" {
		l.badTrace = traceID
	}
}

// counts returns how many requests were sent and how many of them failed, as customers see it.
func (l *load) counts() (requests, failures int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests, l.failures
}

// errorTrace returns the trace id of the newest request that failed with a status of 500 and above, "" if none has.
func (l *load) errorTrace() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.badTrace
}
