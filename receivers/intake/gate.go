package intake

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
)

// Options bound a Gate; a zero field has the default named with it.
type Options struct {
	MaxBodyBytes     int64         // of one body, as it comes and decompressed: 64 MiB
	MaxInFlightBytes int64         // of all bodies held at once, as they came: 256 MiB
	ReadTimeout      time.Duration // for one body to arrive: 30 s
}

// The sizes above which a buffer is left to the garbage collector, so that one huge request is not held for ever.
const (
	keepBodyBytes  = 1 << 20
	keepPlainBytes = 4 << 20
)

// A Gate keeps the bounds of one receiver. It is safe for concurrent use.
type Gate struct {
	o      Options
	held   atomic.Int64
	turns  chan []byte // to decompress, with a buffer for it
	bodies sync.Pool   // *Body
}

// New returns a gate with nothing held.
func New(o Options) *Gate {
	if o.MaxBodyBytes == 0 {
		o.MaxBodyBytes = 64 << 20
	}
	if o.MaxInFlightBytes == 0 {
		o.MaxInFlightBytes = 256 << 20
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = 30 * time.Second
	}
	g := &Gate{o: o, turns: make(chan []byte, runtime.GOMAXPROCS(0))}
	for range cap(g.turns) {
		g.turns <- nil
	}
	g.bodies.New = func() any { return &Body{gate: g} }
	return g
}

// MaxBodyBytes returns the bound of one body.
func (g *Gate) MaxBodyBytes() int64 { return g.o.MaxBodyBytes }

// Held returns the bytes held now.
func (g *Gate) Held() int64 { return g.held.Load() }

var errBusy = errors.New("too many bytes in flight")

// Hold charges n bytes to the budget until [Gate.Let]; over the budget it is telemetry.Throttled and charges nothing.
func (g *Gate) Hold(n int64) error {
	if g.held.Add(n) > g.o.MaxInFlightBytes {
		g.held.Add(-n)
		return telemetry.Throttled(errBusy, time.Second)
	}
	return nil
}

// Let gives back what [Gate.Hold] charged.
func (g *Gate) Let(n int64) { g.held.Add(-n) }

// Look calls look with body decompressed. It waits for a turn first; look must not wait for anything itself, and must
// not retain plain. Bytes that do not decompress are a [Refusal] with 400, or with 413 if they would grow past the
// bound.
func (g *Gate) Look(ctx context.Context, body []byte, c telemetry.Compression, look func(plain []byte) error) error {
	return g.Turn(ctx, func(buffer *[]byte) error {
		plain, err := g.Plain(buffer, body, c)
		if err != nil {
			return err
		}
		return look(plain)
	})
}

// Turn waits for a turn and calls work, which must not wait for anything itself, with a buffer for [Gate.Plain] that it may
// exchange for another.
func (g *Gate) Turn(ctx context.Context, work func(buffer *[]byte) error) error {
	var buffer []byte
	select {
	case buffer = <-g.turns:
	case <-ctx.Done():
		return fmt.Errorf("cannot wait for a turn: %w", ctx.Err())
	}
	defer func() {
		if cap(buffer) > keepPlainBytes {
			buffer = nil
		}
		g.turns <- buffer[:0]
	}()
	return work(&buffer)
}

// Plain returns body decompressed: body itself, or what buffer then holds. Its errors are those of [Gate.Look]. It is for
// whose turn it is.
func (g *Gate) Plain(buffer *[]byte, body []byte, c telemetry.Compression) ([]byte, error) {
	if c == telemetry.Identity {
		return body, nil
	}
	plain, err := compression.Decompress((*buffer)[:0], body, c, int(g.o.MaxBodyBytes))
	if errors.Is(err, compression.ErrTooLarge) {
		return nil, g.tooLarge("decompressed body")
	}
	if err != nil {
		return nil, &Refusal{http.StatusBadRequest, err}
	}
	*buffer = plain
	return plain, nil
}

func (g *Gate) tooLarge(what string) error {
	return &Refusal{http.StatusRequestEntityTooLarge, fmt.Errorf("the %s is larger than %d bytes", what, g.o.MaxBodyBytes)}
}
