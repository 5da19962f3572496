package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/braidhq/braid/query"
	"github.com/braidhq/braid/telemetry"
)

// params is the question that the flags ask.
func (o *logsOptions) params() url.Values {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("namespace", o.namespace)
	if o.fromUnixNano != 0 {
		v.Set("from", formatTime(o.fromUnixNano))
	}
	if o.lastLines >= 0 {
		v.Set("tail", strconv.Itoa(o.lastLines))
	}
	if !o.traceID.IsZero() {
		v.Set("trace_id", o.traceID.String())
	}
	if o.follow {
		v.Set("follow", "true")
	}
	if o.previous {
		v.Set("previous", "true")
	}
	return v
}

func formatTime(unixNano int64) string { return time.Unix(0, unixNano).UTC().Format(time.RFC3339Nano) }

// A logStream is one question to an aggregator, asked again when a followed answer breaks off.
type logStream struct {
	client  aggregatorClient
	params  url.Values
	printer *linePrinter
	errOut  io.Writer
	wanted  map[string]bool // namespace/pod/container; nil: whatever comes

	lines    int
	lastTime int64
	seen     recentUIDs
}

const (
	// overlap is how far a broken stream is asked for again: lines of several agents do not come in the order of time.
	overlap = 30 * time.Second
	// The first and the longest pause before asking again.
	firstPause, longestPause = 200 * time.Millisecond, 5 * time.Second
)

// once prints one answer.
func (s *logStream) once(ctx context.Context) error {
	body, err := s.client.get(ctx, "/api/v1/logs", s.params)
	if err != nil {
		return err
	}
	defer body.Close()
	rows := bufio.NewReaderSize(body, 64<<10)
	for {
		row, err := rows.ReadBytes('\n')
		if row = bytes.TrimSpace(row); len(row) > 0 && (err == nil || errors.Is(err, io.EOF)) {
			if err := s.print(row); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read the aggregator's answer: %w", err)
		}
	}
}

// print prints one row of the answer.
func (s *logStream) print(row []byte) error {
	r, err := query.DecodeLogLine(row)
	if err != nil {
		return err
	}
	if s.wanted != nil && !s.wanted[r.Resource.Namespace+"/"+r.Resource.Pod+"/"+r.Resource.Container] {
		return nil
	}
	if !s.seen.add(r.UID) {
		return nil
	}
	s.lines++
	s.lastTime = max(s.lastTime, r.UnixNano)
	err = s.printer.print(r)
	if errors.Is(err, errLimit) {
		return nil // of this container; others may go on
	}
	return err
}

// follow prints until ctx ends. An aggregator that goes away is waited for, which is said once; what it says again is
// known by its uid. Only the first question must succeed.
func (s *logStream) follow(ctx context.Context) error {
	s.seen.enable()
	err := s.once(ctx)
	var refused *answerError
	if err != nil && s.lines == 0 && !errors.Is(err, query.ErrAnswer) {
		return err
	}
	pause, said := firstPause, false
	for {
		if ctx.Err() != nil || s.printer.broken() {
			return err
		}
		if errors.As(err, &refused) && refused.status < http.StatusInternalServerError && refused.status != http.StatusTooManyRequests {
			return err
		}
		if !said {
			fmt.Fprintf(s.errOut, "the stream ended (%v); waiting for the aggregator\n", reason(err))
			said = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
		before := s.lines
		s.again()
		err = s.once(ctx)
		if s.lines > before {
			pause, said = firstPause, false
		}
	}
}

// again asks from a little before the newest line on.
func (s *logStream) again() {
	if s.lastTime != 0 {
		s.params.Set("from", formatTime(s.lastTime-int64(overlap)))
		s.params.Del("tail")
	}
}

func reason(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

// recentUIDs remembers the last records, so that lines told twice are printed once.
type recentUIDs struct {
	known map[telemetry.UID]struct{}
	order []telemetry.UID
	next  int
}

const uidsRemembered = 1 << 16

func (u *recentUIDs) enable() { u.known = make(map[telemetry.UID]struct{}) }

// add reports whether uid is new. Records without a uid always are.
func (u *recentUIDs) add(uid telemetry.UID) bool {
	if u.known == nil || uid.IsZero() {
		return true
	}
	if _, known := u.known[uid]; known {
		return false
	}
	if len(u.order) < uidsRemembered {
		u.order = append(u.order, uid)
	} else {
		delete(u.known, u.order[u.next])
		u.order[u.next] = uid
		u.next = (u.next + 1) % uidsRemembered
	}
	u.known[uid] = struct{}{}
	return true
}
