package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/braidhq/braid/bench/configs"
	"github.com/braidhq/braid/bench/input"
	"github.com/braidhq/braid/bench/process"
	"github.com/braidhq/braid/bench/report"
	"github.com/braidhq/braid/bench/sink"
)

// A system does works in one process.
type system struct {
	name   string
	config string // its configuration, "" for none
	// argv is the command; file is the path of its configuration.
	argv func(b *bench, file string, v configs.Values) []string
	// once, if it is set, is what it does in place of the work's.
	once func(ctx context.Context, w *work, s system) (report.Result, error)
}

// A work is one row of the comparison for each of its systems.
type work struct {
	name, codec, unit string
	systems           []system
	// once has the system do it, and returns what it took, all but the names.
	once func(ctx context.Context, w *work, s system) (report.Result, error)
}

// A bench runs works in dir.
type bench struct {
	options
	dir string
}

// stall is how long a sink may wait for the next record before the run has failed.
const stall = 90 * time.Second

// all runs every system on every work, runs times: A B C, A B C, …
func (b *bench) all(ctx context.Context, works []work) ([]report.Result, error) {
	var results []report.Result
	for i := range b.runs {
		for _, w := range works {
			for _, s := range w.systems {
				if !b.wants(&w, s) {
					continue
				}
				fmt.Fprintf(os.Stderr, "%d/%d %s %s %s: ", i+1, b.runs, w.name, w.codec, s.name)
				once := w.once
				if s.once != nil {
					once = s.once
				}
				r, err := once(ctx, &w, s)
				if err != nil {
					fmt.Fprintln(os.Stderr, "failed")
					return nil, fmt.Errorf("%s on %s with %s: %w", s.name, w.name, w.codec, err)
				}
				r.System, r.Work, r.Codec, r.Unit = s.name, w.name, w.codec, w.unit
				fmt.Fprintf(os.Stderr, "%.2f CPU-s, %.3g per %s, %d MiB\n", r.CPU.Seconds(), r.PerUnit(), r.Unit, r.VmHWM>>20)
				results = append(results, r)
			}
		}
	}
	if len(results) == 0 {
		return nil, errors.New("no such system has such a work")
	}
	return results, nil
}

// An attempt is one run under way, with its sink.
type attempt struct {
	b       *bench
	sink    *sink.Server
	process *process.Process
	dir     string
	values  configs.Values
	profile <-chan error
}

// start opens the sink and starts the system.
func (b *bench) start(ctx context.Context, w *work, s system, v configs.Values, take sink.Take) (r *attempt, err error) {
	r = &attempt{b: b}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	ln, err := input.Listen(b.port)
	if err != nil {
		return r, err
	}
	r.sink = sink.Serve(ln, take)
	if err = b.addresses(&v.Web, &v.Receive); err != nil {
		return r, err
	}
	if r.dir, err = os.MkdirTemp(b.dir, s.name+"-"); err != nil {
		return r, err
	}
	v.Dir, v.Sink, v.Codec = r.dir, r.sink.URL(), w.codec
	r.values = v
	file := ""
	if s.config != "" {
		if file, err = configs.Write(s.config, v); err != nil {
			return r, err
		}
	}
	if r.process, err = process.Start(s.name, filepath.Join(r.dir, "log"), s.argv(b, file, v)); err != nil {
		return r, err
	}
	if b.profile > 0 && s.config != "" {
		r.profile = b.fetchProfile(ctx, v.Web, filepath.Join(b.results, w.name+"-"+w.codec+"-"+s.name+".pprof"))
	}
	return r, nil
}

// addresses gives each of to a port that is free now and lies below those that the kernel gives to outgoing connections.
func (b *bench) addresses(to ...*string) error {
	for _, address := range to {
		ln, err := input.Listen(b.port)
		if err != nil {
			return err
		}
		defer ln.Close() // after the last one is open: all are different
		*address = ln.Addr().String()
	}
	return nil
}

// listens waits until somebody takes connections at address.
func (r *attempt) listens(ctx context.Context, address string) error {
	return r.until(ctx, func() (bool, int) {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil, 0
	})
}

// until asks every 5 ms whether something is done, how far it is now, and fails if it does not get on, if the system has
// ended, or if the sink has got what it cannot read.
func (r *attempt) until(ctx context.Context, done func() (bool, int)) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	last, moved := -1, time.Now()
	for {
		ok, now := done()
		if ok {
			return nil
		}
		if now != last {
			last, moved = now, time.Now()
		}
		if time.Since(moved) > stall {
			return fmt.Errorf("nothing has come for %s after %d records; %s", stall, now, r.process.LastWords())
		}
		if err := r.sink.Err(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.process.Ended():
			return fmt.Errorf("it has ended: %s", r.process.LastWords())
		case <-ticker.C:
		}
	}
}

// has waits until the sink has n records.
func (r *attempt) has(ctx context.Context, n int, count func() int) error {
	return r.until(ctx, func() (ok bool, now int) {
		r.sink.Do(func() { now = count() })
		return now >= n, now
	})
}

// cost reads what the system has taken so far.
func (r *attempt) cost() (report.Result, error) {
	cpu, err := r.process.CPU()
	if err != nil {
		return report.Result{}, err
	}
	anon, highest := r.process.Memory()
	return report.Result{CPU: cpu, RssAnon: anon, VmHWM: highest, Wire: r.sink.WireBytes()}, nil
}

// finish stops the system and then the sink, which may get more until then, and returns what was wrong with requests.
func (r *attempt) finish() error {
	var profile error
	if r.profile != nil {
		profile = <-r.profile
	}
	return errors.Join(r.close(), profile)
}

func (r *attempt) close() error {
	var errs []error
	if r.process != nil {
		errs = append(errs, r.process.Stop(30*time.Second))
		r.process = nil
	}
	if r.sink != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		errs = append(errs, r.sink.Close(ctx), r.sink.Err())
		r.sink = nil
	}
	if r.dir != "" {
		errs = append(errs, os.RemoveAll(r.dir))
	}
	return errors.Join(errs...)
}
