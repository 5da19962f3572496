package correlate

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// A Verdict says that a trace is kept.
type Verdict struct {
	Trace            telemetry.TraceID
	ReceivedUnixNano int64  // t: when the trace's first span was received
	Rules            uint64 // bit i: the i-th rule held (see [Rules.Names])
}

// VerdictsOptions of [Verdicts]. Only Dir is required.
type VerdictsOptions struct {
	Dir string
	FS  disk.FS // the operating system's
	// A verdict of t is about the spans that were received from t to t + Wait + Late. 0: 10 seconds and 5 minutes.
	Wait, Late time.Duration
	// SegmentRecords is how many verdicts a file has; what is bounded goes file by file. 0: 65,536.
	SegmentRecords int
	Registerer     prometheus.Registerer // nil: unregistered
}

const defaultSegmentRecords = 1 << 16

// Verdicts is the verdict log: the kept traces, on disk in the order of their decisions, and in memory by trace. Its
// methods are safe for concurrent use; readers do not wait for the disk.
type Verdicts struct {
	fs         disk.FS
	dir        string
	life, late int64
	perSegment uint64
	self       verdictMetrics

	writing sync.Mutex // held by who changes the files, before mu
	file    disk.File  // the last segment's, open for appending; nil: the next record begins one
	broken  bool       // the last write failed: the file may have more than it should
	buf     []byte

	mu       sync.RWMutex
	segments []*verdictSegment // oldest first
	length   uint64            // records since the log began
}

// A verdictSegment is one file, and what is in it by trace.
type verdictSegment struct {
	name         string
	base         uint64 // number of its first record
	records      uint64 // in the file, damaged ones included
	good         uint64 // of these, up to the last that was whole when the file was read
	oldest, last int64  // least and greatest t
	traces       map[telemetry.TraceID]int64
	again        map[telemetry.TraceID][]int64 // further verdicts of the same trace, which are rare
}

func newVerdictSegment(name string, base uint64) *verdictSegment {
	return &verdictSegment{name: name, base: base, oldest: math.MaxInt64, last: math.MinInt64, traces: map[telemetry.TraceID]int64{}}
}

func (s *verdictSegment) end() uint64 { return s.base + s.records }

func (s *verdictSegment) add(v *Verdict) {
	t := v.ReceivedUnixNano
	s.oldest, s.last = min(s.oldest, t), max(s.last, t)
	if _, there := s.traces[v.Trace]; !there {
		s.traces[v.Trace] = t
		return
	}
	if s.again == nil {
		s.again = map[telemetry.TraceID][]int64{}
	}
	s.again[v.Trace] = append(s.again[v.Trace], t)
}

// has reports whether there is a verdict of id with from <= t <= to.
func (s *verdictSegment) has(id telemetry.TraceID, from, to int64) bool {
	if s.last < from || s.oldest > to {
		return false
	}
	t, ok := s.traces[id]
	if !ok {
		return false
	}
	if from <= t && t <= to {
		return true
	}
	return s.again != nil && slices.ContainsFunc(s.again[id], func(t int64) bool { return from <= t && t <= to })
}

// Kept reports whether a span of trace id that was received at receivedUnixNano is kept: whether there is a verdict with
// t <= received <= t + Wait + Late. It does not allocate.
func (v *Verdicts) Kept(id telemetry.TraceID, receivedUnixNano int64) bool {
	return v.has(id, receivedUnixNano-v.life, receivedUnixNano)
}

// KeptLine is [Verdicts.Kept] for a log line, or for an exemplar, which usually precede their spans: t - Late <= received.
func (v *Verdicts) KeptLine(id telemetry.TraceID, receivedUnixNano int64) bool {
	return v.has(id, receivedUnixNano-v.life, receivedUnixNano+v.late)
}

func (v *Verdicts) has(id telemetry.TraceID, from, to int64) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for i := len(v.segments) - 1; i >= 0; i-- { // newest first: that is where most are found
		if v.segments[i].has(id, from, to) {
			return true
		}
	}
	return false
}

// Length returns how many verdicts the log has had, those that were trimmed included.
func (v *Verdicts) Length() uint64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.length
}

// Append adds verdicts and returns how many of them, from the first on, are synced and visible to readers: all, or fewer
// and an error. The others are not in the log and can be appended again.
func (v *Verdicts) Append(verdicts []Verdict) (done int, err error) {
	v.writing.Lock()
	defer v.writing.Unlock()
	for done < len(verdicts) {
		n, err := v.append(verdicts[done:])
		if err != nil {
			v.broken = true
			return done, fmt.Errorf("cannot append to the verdict log: %w", err)
		}
		done += n
	}
	return done, nil
}

// append writes as many as fit into the last segment, or else begins the next one.
func (v *Verdicts) append(verdicts []Verdict) (int, error) {
	if err := v.mend(); err != nil {
		return 0, err
	}
	seg := v.newest()
	if seg == nil || v.file == nil || v.length%v.perSegment == 0 && seg.records > 0 {
		var err error
		if seg, err = v.begin(); err != nil {
			return 0, err
		}
	}
	n := min(uint64(len(verdicts)), v.perSegment-v.length%v.perSegment)
	v.buf = v.buf[:0]
	for i := range verdicts[:n] {
		v.buf = appendRecord(v.buf, &verdicts[i])
	}
	if _, err := v.file.Write(v.buf); err != nil {
		return 0, err
	}
	disk.Point("verdicts.append.written")
	if err := v.file.Sync(); err != nil {
		return 0, err
	}
	disk.Point("verdicts.append.synced")
	v.mu.Lock()
	for i := range verdicts[:n] {
		seg.add(&verdicts[i])
	}
	seg.records += n
	v.length += n
	v.mu.Unlock()
	v.self.length.Set(float64(v.length))
	return int(n), nil
}

func (v *Verdicts) newest() *verdictSegment {
	if len(v.segments) == 0 {
		return nil
	}
	return v.segments[len(v.segments)-1]
}

// Truncate makes n the log's length: later verdicts are gone, durably. If the log is shorter, because something has
// damaged it, its next record has the number n all the same, and what is missing is counted.
func (v *Verdicts) Truncate(n uint64) error {
	v.writing.Lock()
	defer v.writing.Unlock()
	if err := v.truncate(n); err != nil {
		v.broken = true
		return fmt.Errorf("cannot truncate the verdict log to %d: %w", n, err)
	}
	return nil
}

func (v *Verdicts) truncate(n uint64) error {
	if n == v.length && !v.broken {
		return nil
	}
	if n > v.length {
		v.self.damaged.Add(float64(n - v.length))
		v.closeFile()
		v.mu.Lock()
		defer v.mu.Unlock()
		v.length = n
		return nil
	}
	v.closeFile()
	keep := v.segments
	for len(keep) > 0 && keep[len(keep)-1].base >= n {
		if err := v.fs.Remove(keep[len(keep)-1].name); err != nil && !disk.IsNotExist(err) {
			return err
		}
		keep = keep[:len(keep)-1]
	}
	if err := v.fs.SyncDir(v.dir); err != nil {
		return err
	}
	v.mu.Lock()
	v.segments, v.length = slices.Clone(keep), n
	v.mu.Unlock()
	if len(keep) > 0 && keep[len(keep)-1].end() > n {
		seg, err := v.rewrite(keep[len(keep)-1], n)
		if err != nil {
			return err
		}
		v.mu.Lock()
		v.segments[len(v.segments)-1] = seg
		v.mu.Unlock()
	}
	v.self.length.Set(float64(v.length))
	return v.reopen()
}

// Trim lets go of what nobody asks for any more: before is the receive time up to which every cursor that reads verdicts
// has passed. A segment goes with its last verdict.
func (v *Verdicts) Trim(before int64) error {
	v.writing.Lock()
	defer v.writing.Unlock()
	for {
		v.mu.RLock()
		n := len(v.segments)
		goes := n > 1 && v.segments[0].last < before-v.life
		v.mu.RUnlock()
		if !goes {
			return nil
		}
		if err := v.fs.Remove(v.segments[0].name); err != nil && !disk.IsNotExist(err) {
			return fmt.Errorf("cannot trim the verdict log: %w", err)
		}
		v.mu.Lock()
		v.segments = slices.Clone(v.segments[1:])
		v.mu.Unlock()
		if err := v.fs.SyncDir(v.dir); err != nil {
			return fmt.Errorf("cannot trim the verdict log: %w", err)
		}
	}
}

// Close closes the file that is written to.
func (v *Verdicts) Close() error {
	v.writing.Lock()
	defer v.writing.Unlock()
	if v.file == nil {
		return nil
	}
	err := v.file.Close()
	v.file = nil
	return err
}

func (v *Verdicts) closeFile() {
	if v.file != nil {
		v.file.Close() // everything that counts is synced
		v.file = nil
	}
}

var errVerdicts = errors.New("not a verdict log")
