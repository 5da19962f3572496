package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/braidhq/braid/telemetry"
)

// TestLogsAgainstModel stores thousands of lines of several attempts and containers, more than cursors hold at a time,
// and compares every kind of answer with what sorting and filtering in memory says.
func TestLogsAgainstModel(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 9))
			s := openStore(t, Options{})
			m := &logModel{}
			frame := uint64(1)
			for _, pod := range []string{"web", "api"} {
				for restart := range 2 {
					for range 4 {
						m.write(t, s, rng, pod, restart, frame)
						frame++
					}
				}
			}
			slices.SortFunc(m.lines, func(a, b telemetry.LogRecord) int {
				if a.UnixNano != b.UnixNano {
					return int(a.UnixNano - b.UnixNano)
				}
				return bytes.Compare(a.UID[:], b.UID[:])
			})
			for _, q := range []telemetry.LogQuery{
				{}, {Text: "needle"}, {Pods: []string{"web"}}, {MinSeverity: telemetry.SeverityError}, {Limit: 700},
				{FromUnixNano: base + 20e9, ToUnixNano: base + 70e9},
				{Tail: 1}, {Tail: 17}, {Tail: 511}, {Tail: 513}, {Tail: 1100}, {Tail: 2000}, {Tail: 1900, Text: "needle"}, {Tail: 100_000},
				{Tail: 600, ToUnixNano: base + 70e9, Pods: []string{"api"}}, {Tail: 5, FromUnixNano: base + 99e9},
			} {
				want := m.answer(q)
				if got := bodies(t, s, q); !slices.Equal(got, want) {
					t.Errorf("%+v: %d lines, want %d", q, len(got), len(want))
				}
			}
		})
	}
}

type logModel struct{ lines []telemetry.LogRecord }

// write stores 400 lines of one attempt with random times, many of them equal, some bodies large.
func (m *logModel) write(t *testing.T, s *Store, rng *rand.Rand, pod string, restart int, frame uint64) {
	times := make([]int, 400)
	for i := range times {
		times[i] = rng.IntN(100)
	}
	b := logBatch(podResource(pod, "app", restart), frame, times...)
	for i := range b.Logs {
		l := &b.Logs[i]
		l.Body = fmt.Appendf(l.Body, " %d %d", frame, i)
		if rng.IntN(3) == 0 {
			l.Body = append(l.Body, " needle"...)
		}
		if rng.IntN(4) == 0 {
			l.Severity = telemetry.SeverityError
		}
		if rng.IntN(100) == 0 {
			l.Body = append(l.Body, bytes.Repeat([]byte("x"), 100<<10)...)
		}
		m.lines = append(m.lines, telemetry.LogRecord{Resource: b.Resource, Log: *l})
	}
	mustWrite(t, s, b)
}

func (m *logModel) answer(q telemetry.LogQuery) []string {
	var matching []telemetry.LogRecord
	for _, l := range m.lines {
		if (q.Text == "" || strings.Contains(string(l.Body), q.Text)) && l.Severity >= q.MinSeverity &&
			(len(q.Pods) == 0 || slices.Contains(q.Pods, l.Resource.Pod)) &&
			l.UnixNano >= q.FromUnixNano && (q.ToUnixNano == 0 || l.UnixNano < q.ToUnixNano) {
			matching = append(matching, l)
		}
	}
	skip := map[string]int{} // of each container, how many of its lines come before its tail
	for _, l := range matching {
		skip[l.Resource.Pod]++
	}
	got := []string{}
	for _, l := range matching {
		if skip[l.Resource.Pod]--; q.Tail == 0 || skip[l.Resource.Pod] < q.Tail {
			got = append(got, string(l.Body))
		}
	}
	if q.Limit > 0 {
		got = got[:q.Limit]
	}
	return got
}

// TestStreamInUseIsPutUntilSynced: a record of the stream that says an earlier use than the table does not count.
func TestStreamInUseIsPutUntilSynced(t *testing.T) {
	s := openStore(t, Options{})
	r := podResource("web", "app", 0)
	st, put := s.streams.touch("", r, base)
	if !put {
		t.Fatal("a new stream is not put")
	}
	batch := s.db.NewBatch()
	defer batch.Close()
	early, err := s.streams.put(batch, st)
	if err != nil {
		t.Fatal(err)
	}
	later := early + 1
	if _, put := s.streams.touch("", r, later); !put {
		t.Error("a later use is not put")
	}
	s.streams.confirm(st, early)
	if _, put := s.streams.touch("", r, later); !put {
		t.Error("a later use counts as stored by the record of an earlier one")
	}
	s.streams.confirm(st, st.usedUntil)
	if _, put := s.streams.touch("", r, later); put {
		t.Error("a stored use is put again")
	}
}
