package demo

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/braidhq/braid/demo/shop"
)

func TestLoadAsksForEverythingAndIsAnsweredToTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const enough = 400
	var mu sync.Mutex
	kinds := map[string]int{}
	answered := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		kind := r.Method + " " + strings.SplitAfterN(r.URL.Path, "/", 3)[1] + r.URL.Query().Get("card") + r.URL.Query().Get("snapshot")
		kinds[kind]++
		w.Header().Set("X-Trace-Id", "trace of "+kind)
		if r.URL.Query().Get("card") == shop.CardBroken {
			w.WriteHeader(http.StatusBadGateway)
		}
		if answered++; answered == enough {
			cancel()
		}
	}))
	defer server.Close()
	l := newLoad(strings.TrimPrefix(server.URL, "http://"), 1000, 1)
	l.run(ctx)
	requests, failures := l.counts()
	if requests < enough || requests != answered {
		t.Errorf("%d requests counted, %d answered: some were not waited for", requests, answered)
	}
	broken := "POST checkout/" + shop.CardBroken
	if l.errorTrace() != "trace of "+broken || failures != kinds[broken] {
		t.Errorf("error trace %s, %d failures, %v", l.errorTrace(), failures, kinds)
	}
	if first := l.pick(0); !strings.Contains(first.path, shop.CardBroken) {
		t.Errorf("the first customer does %v", first)
	}
	for _, kind := range []string{
		"GET ", "GET 1", "GET products/", "POST cart/", "POST checkout/" + shop.CardGood, "POST checkout/" + shop.CardNoReceipt,
		"POST checkout/" + shop.CardDeclined, "POST checkout/" + shop.CardSlow, "POST checkout/" + shop.CardBroken,
	} {
		if kinds[kind] == 0 {
			t.Errorf("nobody asked for %q: %v", kind, kinds)
		}
	}
}
