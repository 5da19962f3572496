package pipeline

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// answers is a sink that gives the answers it has been told, then nil, and remembers when it was asked.
type answers struct {
	left  []error
	asked []time.Time
}

func (a *answers) Write(context.Context, []*telemetry.Batch) error {
	a.asked = append(a.asked, time.Now())
	if len(a.left) == 0 {
		return nil
	}
	err := a.left[0]
	a.left = a.left[1:]
	return err
}

func TestRetryWaitsLongerAndLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		sink := &answers{}
		for range 12 {
			sink.left = append(sink.left, errors.New("away"))
		}
		r := Retry(sink, RetryOptions{Name: "es", Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err := r.Write(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		want := firstBackoff
		for i, at := range sink.asked[1:] {
			if d := at.Sub(sink.asked[i]); d < want/2 || d > want {
				t.Errorf("wait %d took %v, not up to %v", i, d, want)
			}
			want = min(2*want, longestWait)
		}
		if out := log.String(); strings.Count(out, "msg=away") != 1 || strings.Count(out, "msg=back") != 1 {
			t.Errorf("the log says\n%s", out)
		}
		begin := time.Now()
		sink.left = []error{errors.New("again")}
		if err := r.Write(t.Context(), nil); err != nil || time.Since(begin) > firstBackoff {
			t.Errorf("the next outage began with a wait of %v, %v", time.Since(begin), err)
		}
	})
}

func TestRetryHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &answers{left: []error{telemetry.Throttled(errors.New("busy"), 7*time.Second)}}
		if err := Retry(sink, RetryOptions{}).Write(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if d := sink.asked[1].Sub(sink.asked[0]); d < 7*time.Second || d > 8*time.Second {
			t.Errorf("it waited %v", d)
		}
	})
}

func TestRetryReturnsPermanentErrors(t *testing.T) {
	bad := errors.New("bad")
	sink := &answers{left: []error{telemetry.Permanent(bad)}}
	if err := Retry(sink, RetryOptions{}).Write(t.Context(), nil); !errors.Is(err, bad) || len(sink.asked) != 1 {
		t.Errorf("got %v after %d writes", err, len(sink.asked))
	}
}

func TestRetryEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		away := errors.New("away")
		sink := &answers{}
		for range 1000 {
			sink.left = append(sink.left, away)
		}
		begin := time.Now()
		err := Retry(sink, RetryOptions{}).Write(ctx, nil)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, away) || time.Since(begin) != time.Minute {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
	})
}
