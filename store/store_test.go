package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// Pebble leaves the ticker of its disk watch behind when it fails to open a directory, as TestDirectoryIsLocked has it.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/cockroachdb/pebble/v2/vfs.(*diskHealthCheckingFS).startTickerLocked.func1"))
}

var base = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC).UnixNano()

func openStore(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func mustWrite(t testing.TB, s *Store, batches ...*telemetry.Batch) {
	t.Helper()
	if err := s.Write(t.Context(), batches); err != nil {
		t.Fatal(err)
	}
}

func podResource(pod, name string, restart int) *telemetry.Resource {
	return &telemetry.Resource{
		Cluster: "demo", Node: "n1", Namespace: "shop", Pod: pod, PodUID: "uid-" + pod, Container: name, Restart: restart,
		Attrs: []telemetry.Attr{{Key: "team", Value: telemetry.String("a")}},
	}
}

// logBatch makes lines "<pod>/<container>/<restart> <i>" at base + times[i] seconds, in one frame.
func logBatch(r *telemetry.Resource, frame uint64, times ...int) *telemetry.Batch {
	b := &telemetry.Batch{Resource: r, FramePosition: frame, ReceivedUnixNano: base + int64(frame)*1e6}
	copy(b.FileID[:], fmt.Sprintf("%s%s%d", r.Pod, r.Container, r.Restart))
	for i, sec := range times {
		position := int64(frame)*1000 + int64(i) + 1
		b.Logs = append(b.Logs, telemetry.Log{
			UnixNano: base + int64(sec)*1e9, Severity: telemetry.SeverityInfo, Stream: telemetry.Stdout,
			Position: position, UID: telemetry.FileUID(b.FileID, position),
			Body: fmt.Appendf(nil, "%s/%s/%d %d", r.Pod, r.Container, r.Restart, sec),
		})
	}
	return b
}

func bodies(t testing.TB, s *Store, q telemetry.LogQuery) []string {
	t.Helper()
	got := []string{}
	err := s.Logs(t.Context(), q, func(r *telemetry.LogRecord) error {
		got = append(got, string(r.Body))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func wantBodies(t testing.TB, s *Store, q telemetry.LogQuery, want ...string) {
	t.Helper()
	if got := bodies(t, s, q); !slices.Equal(got, want) {
		t.Errorf("query %+v\n got %q\nwant %q", q, got, want)
	}
}

func TestLogRoundTripOverRestart(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Options{Dir: dir})
	r := podResource("web", "app", 3)
	l := telemetry.Log{
		UnixNano: base, ObservedUnixNano: base + 5, Severity: 18, Stream: telemetry.Stderr, Flags: telemetry.Partial,
		TraceID: telemetry.TraceID{1, 2}, SpanID: telemetry.SpanID{3}, Position: 77, UID: telemetry.UID{9},
		Body: []byte("a\x00\xffb"),
		Attrs: []telemetry.Attr{
			{Key: "s", Value: telemetry.String("x")}, {Key: "i", Value: telemetry.Int(-5)},
			{Key: "f", Value: telemetry.Value{Kind: telemetry.FloatValue, Float: 1.5}},
			{Key: "b", Value: telemetry.Value{Kind: telemetry.BoolValue, Int: 1}},
			{Key: "e", Value: telemetry.Value{Kind: telemetry.EmptyValue}},
			{Key: "j", Value: telemetry.Value{Kind: telemetry.JSONValue, Str: "[1]"}},
		},
	}
	mustWrite(t, s, &telemetry.Batch{Resource: r, ReceivedUnixNano: base, Logs: []telemetry.Log{l}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Options{Dir: dir})
	n := 0
	err := s.Logs(t.Context(), telemetry.LogQuery{}, func(got *telemetry.LogRecord) error {
		n++
		if !reflect.DeepEqual(got.Log, l) {
			t.Errorf("got %+v\nwant %+v", got.Log, l)
		}
		if !reflect.DeepEqual(got.Resource, r) {
			t.Errorf("got %+v\nwant %+v", got.Resource, r)
		}
		return nil
	})
	if err != nil || n != 1 {
		t.Fatalf("%d lines, %v", n, err)
	}
}

func TestSpansAndTrace(t *testing.T) {
	s := openStore(t, Options{})
	id := telemetry.TraceID{7}
	scope := telemetry.Scope{Name: "lib", Version: "1", Attrs: []telemetry.Attr{{Key: "k", Value: telemetry.Int(1)}}}
	later := telemetry.Span{
		TraceID: id, SpanID: telemetry.SpanID{2}, ParentID: telemetry.SpanID{1}, Kind: telemetry.SpanKindClient,
		Status: telemetry.StatusError, StatusMessage: "no", Name: "GET /", StartUnixNano: base + 10, EndUnixNano: base + 25,
		Attrs: []telemetry.Attr{{Key: "http.method", Value: telemetry.String("GET")}}, UID: telemetry.UID{5}, Raw: []byte{1, 2, 3},
	}
	first := telemetry.Span{TraceID: id, SpanID: telemetry.SpanID{1}, Kind: telemetry.SpanKindServer, Name: "root", StartUnixNano: base, EndUnixNano: base + 99}
	other := telemetry.Span{TraceID: telemetry.TraceID{8}, SpanID: telemetry.SpanID{1}, StartUnixNano: base}
	r := podResource("web", "app", 0)
	spans := &telemetry.Batch{Resource: r, Scope: scope, ReceivedUnixNano: base, Spans: []telemetry.Span{later, first, other}}
	lines := logBatch(r, 1, 3, 1, 2)
	lines.Logs[0].TraceID, lines.Logs[1].TraceID = id, id
	for range 2 { // the second time changes nothing
		mustWrite(t, s, spans)
		mustWrite(t, s, lines)
	}
	got, err := s.Trace(t.Context(), "", id)
	if err != nil {
		t.Fatal(err)
	}
	want := []telemetry.SpanRecord{{Resource: r, Scope: scope, Span: first}, {Resource: r, Scope: scope, Span: later}}
	if !reflect.DeepEqual(got.Spans, want) {
		t.Errorf("got %+v\nwant %+v", got.Spans, want)
	}
	if len(got.Logs) != 2 || string(got.Logs[0].Body) != "web/app/0 1" || string(got.Logs[1].Body) != "web/app/0 3" {
		t.Errorf("lines %v", got.Logs)
	}
	if got, err := s.Trace(t.Context(), "", telemetry.TraceID{99}); got != nil || err != nil {
		t.Errorf("an unknown trace is %v, %v", got, err)
	}
	if got, err := s.Trace(t.Context(), "someone else", id); got != nil || err != nil {
		t.Errorf("another tenant sees %v, %v", got, err)
	}
	wantBodies(t, s, telemetry.LogQuery{TraceID: id}, "web/app/0 1", "web/app/0 3")
	wantBodies(t, s, telemetry.LogQuery{TraceID: id, FromUnixNano: base + 2e9}, "web/app/0 3")
	wantBodies(t, s, telemetry.LogQuery{TraceID: id, ToUnixNano: base + 3e9}, "web/app/0 1")
	wantBodies(t, s, telemetry.LogQuery{TraceID: telemetry.TraceID{99}})
}

func TestFilters(t *testing.T) {
	s := openStore(t, Options{})
	web, api := podResource("web", "app", 0), podResource("api", "app", 0)
	side := podResource("web", "sidecar", 0)
	other := &telemetry.Resource{Namespace: "other", Pod: "web", Container: "app", Restart: -1}
	b := logBatch(web, 1, 1, 4)
	b.Logs[1].Severity = telemetry.SeverityError
	mustWrite(t, s, b, logBatch(api, 2, 2, 5), logBatch(side, 3, 3), logBatch(other, 4, 6))
	tenant := logBatch(web, 5, 7)
	tenant.Tenant = "b"
	mustWrite(t, s, tenant)

	wantBodies(t, s, telemetry.LogQuery{Namespace: "shop"},
		"web/app/0 1", "api/app/0 2", "web/sidecar/0 3", "web/app/0 4", "api/app/0 5")
	wantBodies(t, s, telemetry.LogQuery{Namespace: "shop", Pods: []string{"web"}, Container: "app"}, "web/app/0 1", "web/app/0 4")
	wantBodies(t, s, telemetry.LogQuery{Pods: []string{"web", "api"}, Namespace: "shop", Limit: 2}, "web/app/0 1", "api/app/0 2")
	wantBodies(t, s, telemetry.LogQuery{MinSeverity: telemetry.SeverityWarn}, "web/app/0 4")
	wantBodies(t, s, telemetry.LogQuery{Text: "/app/0 5"}, "api/app/0 5")
	wantBodies(t, s, telemetry.LogQuery{FromUnixNano: base + 3e9, ToUnixNano: base + 5e9}, "web/sidecar/0 3", "web/app/0 4")
	wantBodies(t, s, telemetry.LogQuery{Namespace: "shop", Tail: 1}, "web/sidecar/0 3", "web/app/0 4", "api/app/0 5")
	wantBodies(t, s, telemetry.LogQuery{Namespace: "shop", Tail: 1, Text: " 1"}, "web/app/0 1")
	wantBodies(t, s, telemetry.LogQuery{Namespace: "shop", Tail: 9, Pods: []string{"api"}}, "api/app/0 2", "api/app/0 5")
	wantBodies(t, s, telemetry.LogQuery{Tenant: "b"}, "web/app/0 7")
	wantBodies(t, s, telemetry.LogQuery{Namespace: "none"})
}

// TestTailOverAttempts: the attempts of a container, whose lines may overlap in time, are tailed as one.
func TestTailOverAttempts(t *testing.T) {
	s := openStore(t, Options{})
	mustWrite(t, s, logBatch(podResource("web", "app", 0), 1, 1, 2, 3, 5), logBatch(podResource("web", "app", 1), 2, 3, 4, 5, 6))
	all := bodies(t, s, telemetry.LogQuery{})
	if len(all) != 8 {
		t.Fatalf("%q", all)
	}
	for n := 1; n <= 9; n++ {
		wantBodies(t, s, telemetry.LogQuery{Tail: n}, all[max(0, len(all)-n):]...)
	}
}

func TestPrevious(t *testing.T) {
	s := openStore(t, Options{})
	old := podResource("db", "app", 7)
	old.PodUID = "an earlier pod of the same name"
	mustWrite(t, s,
		logBatch(podResource("web", "app", 0), 1, 1), logBatch(podResource("web", "app", 2), 2, 2), logBatch(podResource("web", "app", 5), 3, 3),
		logBatch(podResource("api", "app", 0), 4, 4),
		logBatch(old, 5, 5), logBatch(podResource("db", "app", 0), 6, 6), logBatch(podResource("db", "app", 1), 7, 7))
	wantBodies(t, s, telemetry.LogQuery{Previous: true, Follow: true}, "web/app/2 2", "db/app/0 6")
	wantBodies(t, s, telemetry.LogQuery{Previous: true, Pods: []string{"api"}})
}

func TestEventTimeFallsBack(t *testing.T) {
	s := openStore(t, Options{})
	b := logBatch(podResource("web", "app", 0), 1, 1, 2)
	b.Logs[0].UnixNano, b.Logs[0].ObservedUnixNano = 0, base+9e9
	b.Logs[1].UnixNano = 0
	mustWrite(t, s, b)
	var at []int64
	err := s.Logs(t.Context(), telemetry.LogQuery{}, func(r *telemetry.LogRecord) error {
		at = append(at, r.UnixNano)
		return nil
	})
	if want := []int64{b.ReceivedUnixNano, base + 9e9}; err != nil || !slices.Equal(at, want) {
		t.Errorf("got %v, %v, want %v", at, err, want)
	}
}

func TestYieldErrorEndsAnswer(t *testing.T) {
	s := openStore(t, Options{})
	mustWrite(t, s, logBatch(podResource("web", "app", 0), 1, 1, 2))
	stop := errors.New("stop")
	n := 0
	err := s.Logs(t.Context(), telemetry.LogQuery{Follow: true}, func(*telemetry.LogRecord) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("%d lines, %v", n, err)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Options{Dir: dir})
	if err := s.db.Set([]byte{metaPrefix, 'v'}, binary.BigEndian.AppendUint16(nil, formatVersion+1), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Options{Dir: dir})
	if !errors.Is(err, disk.ErrVersion) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("got %v", err)
	}
}

func TestDirectoryIsLocked(t *testing.T) {
	dir := t.TempDir()
	openStore(t, Options{Dir: dir})
	if s, err := Open(Options{Dir: dir}); err == nil {
		s.Close()
		t.Error("two stores in one directory")
	}
}

// TestIdsOfStreamsNeverCollide gives two identities the same first choice of an id.
func TestIdsOfStreamsNeverCollide(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Options{Dir: dir})
	mustWrite(t, s, logBatch(podResource("a", "app", 0), 1, 1))
	a := s.streams.match(func(*stream) bool { return true })[0]
	probe := newStreams()
	b := probe.find("", podResource("b", "app", 0))
	s.streams.byID[b.id] = a // as if a had that id
	mustWrite(t, s, logBatch(podResource("b", "app", 0), 2, 2))
	got := s.streams.byIdentity[b.identity]
	if got.id != b.id+1 {
		t.Errorf("id %x, want %x", got.id, b.id+1)
	}
	delete(s.streams.byID, b.id)
	wantBodies(t, s, telemetry.LogQuery{}, "a/app/0 1", "b/app/0 2")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Options{Dir: dir})
	mustWrite(t, s, logBatch(podResource("b", "app", 0), 3, 3))
	wantBodies(t, s, telemetry.LogQuery{}, "a/app/0 1", "b/app/0 2", "b/app/0 3")
}

func TestClosedStoreSaysSo(t *testing.T) {
	s := openStore(t, Options{Dir: filepath.Join(t.TempDir(), "new")})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := s.Logs(t.Context(), telemetry.LogQuery{}, nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := s.Trace(context.Background(), "", telemetry.TraceID{}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
