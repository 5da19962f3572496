package intake

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const firstBodyBytes = 16 << 10

// A Body is the body of one request, as it came.
type Body struct {
	Bytes []byte
	gate  *Gate
	held  int64
}

// Read reads the body of r within the gate's bounds. Memory is taken, and charged, as bytes arrive: a header that
// announces much costs nothing. Call [Body.Release] once nothing uses Bytes any more.
//
// Errors: over the budget, telemetry.Throttled; a [Refusal] with 413 for too large a body, with 503 for one that did
// not arrive in time or broke off.
func (g *Gate) Read(w http.ResponseWriter, r *http.Request) (*Body, error) {
	if r.ContentLength > g.o.MaxBodyBytes {
		return nil, g.tooLarge("body")
	}
	// A writer without deadlines is a test's recorder; there the error means nothing.
	deadlines := http.NewResponseController(w)
	_ = deadlines.SetReadDeadline(time.Now().Add(g.o.ReadTimeout))
	b := g.bodies.Get().(*Body)
	b.Bytes = b.Bytes[:0]
	if err := g.Hold(int64(cap(b.Bytes))); err != nil {
		g.bodies.Put(b)
		return nil, err
	}
	b.held = int64(cap(b.Bytes))
	if err := b.fill(r.Body); err != nil {
		b.Release()
		return nil, err
	}
	// net/http watches for the client's end while the handler goes on; it must not take the deadline for one.
	_ = deadlines.SetReadDeadline(time.Time{})
	return b, nil
}

func (b *Body) fill(r io.Reader) error {
	for {
		if len(b.Bytes) == cap(b.Bytes) {
			if err := b.grow(); err != nil {
				return err
			}
		}
		n, err := r.Read(b.Bytes[len(b.Bytes):cap(b.Bytes)])
		b.Bytes = b.Bytes[:len(b.Bytes)+n]
		if int64(len(b.Bytes)) > b.gate.o.MaxBodyBytes {
			return b.gate.tooLarge("body")
		}
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return &Refusal{http.StatusServiceUnavailable, fmt.Errorf("cannot read the body within %s", b.gate.o.ReadTimeout)}
		case err != nil:
			return &Refusal{http.StatusServiceUnavailable, fmt.Errorf("cannot read the body: %w", err)}
		}
	}
}

// grow doubles the buffer, up to one byte above the bound: that byte is what shows that a body is too large.
func (b *Body) grow() error {
	size := max(firstBodyBytes, 2*int64(cap(b.Bytes)))
	size = min(size, b.gate.o.MaxBodyBytes+1)
	if err := b.gate.Hold(size - b.held); err != nil {
		return err
	}
	b.held = size
	grown := make([]byte, len(b.Bytes), size)
	copy(grown, b.Bytes)
	b.Bytes = grown
	return nil
}

// Release gives the body's memory back.
func (b *Body) Release() {
	b.gate.Let(b.held)
	b.held = 0
	if cap(b.Bytes) > keepBodyBytes {
		b.Bytes = nil
	}
	b.gate.bodies.Put(b)
}
