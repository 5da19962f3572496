package input

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/braidhq/braid/bench/tally"
)

// Targets are scrape targets on loopback ports of their own.
type Targets struct {
	Addresses []string
	servers   []*http.Server
	gzips     sync.Pool
	mu        sync.Mutex
	stopped   bool
	failed    error
	scrapes   int
	truth     tally.Truth
}

// Listen listens on the first free port of 127.0.0.1 from port on.
func Listen(port int) (net.Listener, error) {
	const most = 500
	var err error
	for p := port; p < port+most; p++ {
		var ln net.Listener
		if ln, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p)); err == nil {
			return ln, nil
		}
	}
	return nil, fmt.Errorf("no port of %d to %d is free: %w", port, port+most-1, err)
}

// ServeTargets opens n targets of about series series each, on free ports from port on.
func ServeTargets(port, n, series int) (*Targets, error) {
	t := &Targets{}
	t.gzips.New = func() any {
		z, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // the level is a valid one
		return z
	}
	for i := range n {
		ln, err := Listen(port)
		if err != nil {
			t.Close()
			return nil, fmt.Errorf("cannot open a target: %w", err)
		}
		server := &http.Server{Handler: &target{all: t, page: newPage(ln.Addr().String(), i, series)}}
		t.Addresses, t.servers = append(t.Addresses, ln.Addr().String()), append(t.servers, server)
		go func() { _ = server.Serve(ln) }()
	}
	return t, nil
}

// Stop makes every target answer 503 from now on, and returns what the scrapes before said. Its error is that of a
// scrape which was answered and not read to its end: what its reader makes of that is not known.
func (t *Targets) Stop() (tally.Truth, int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	return t.truth, t.scrapes, t.failed
}

// Close closes the ports.
func (t *Targets) Close() {
	for _, s := range t.servers {
		_ = s.Close()
	}
}

type target struct {
	all  *Targets
	mu   sync.Mutex
	page *page
	body []byte
}

// ServeHTTP answers with the page. The truth holds it from before the first byte goes out: the sink may have it at once.
func (t *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var truth tally.Truth
	t.body = t.page.render(t.body[:0], &truth)
	body := t.body
	if accept := r.Header.Get("Accept"); strings.Contains(accept, "application/openmetrics-text") {
		w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
	} else {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	}
	if !t.all.take(truth) {
		http.Error(w, "the run is over", http.StatusServiceUnavailable)
		return
	}
	if err := t.all.send(w, r, body); err != nil {
		t.all.fail(err)
	}
}

func (t *Targets) take(truth tally.Truth) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return false
	}
	t.scrapes++
	t.truth.Merge(truth)
	return true
}

func (t *Targets) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = errors.Join(t.failed, fmt.Errorf("a scrape was not read to its end: %w", err))
}

func (t *Targets) send(w http.ResponseWriter, r *http.Request, body []byte) error {
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		_, err := w.Write(body)
		return err
	}
	w.Header().Set("Content-Encoding", "gzip")
	z := t.gzips.Get().(*gzip.Writer)
	defer t.gzips.Put(z)
	z.Reset(w)
	if _, err := z.Write(body); err != nil {
		return err
	}
	return z.Close()
}
