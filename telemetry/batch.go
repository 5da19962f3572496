package telemetry

import (
	"context"
	"encoding/binary"
	"encoding/hex"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
)

// A Batch is the decoded view of (part of) a frame: records of one Resource. Samples carry their identity in labels,
// their Resource is nil.
//
// A batch has one owner at a time. It is lent during Write: the callee may edit it in place and must not retain it or
// anything it points to except Resource and Series, which are immutable and shared.
type Batch struct {
	Resource *Resource
	Scope    Scope
	Logs     []Log
	Spans    []Span
	Samples  []Sample

	// FileID identifies the log file that Logs were read from; zero for records that came from elsewhere.
	// From and To are the span of file positions that these records cover: From < Log.Position <= To.
	FileID   FileID
	From, To int64

	// Where a queue cursor read this batch; zero on the way into a queue.
	Tenant           string
	ReceivedUnixNano int64
	FramePosition    uint64 // of the frame, in its lane
	FirstIndex       int    // of this batch's first record, among the records of the frame
}

// Len returns the number of records.
func (b *Batch) Len() int { return len(b.Logs) + len(b.Spans) + len(b.Samples) }

// Scope is OTLP's instrumentation scope.
type Scope struct {
	Name, Version string
	Attrs         []Attr
}

// FileID is a 96-bit hash that identifies a log file's content through renames, compression and inode reuse.
type FileID [12]byte

// IsZero reports that there is no file.
func (id FileID) IsZero() bool { return id == FileID{} }

// String returns 24 lower-case hex digits.
func (id FileID) String() string { return hex.EncodeToString(id[:]) }

// UID identifies a record for ever: a log line by file id and position, a record from elsewhere by the queue that
// first stored it. It is what every store deduplicates by.
type UID [20]byte

// FileUID returns the UID of the line that ends at position (bytes, uncompressed) of file id.
func FileUID(id FileID, position int64) (u UID) {
	copy(u[:12], id[:])
	binary.BigEndian.PutUint64(u[12:], uint64(position))
	return u
}

// QueueUID returns the UID of the index-th record of the frame at position of a lane of queue q.
func QueueUID(q QueueID, position uint64, index int) (u UID) {
	copy(u[:8], q[:])
	binary.BigEndian.PutUint64(u[8:], position)
	binary.BigEndian.PutUint32(u[16:], uint32(index))
	return u
}

// IsZero reports that no UID has been given.
func (u UID) IsZero() bool { return u == UID{} }

// String returns 40 lower-case hex digits.
func (u UID) String() string { return hex.EncodeToString(u[:]) }

// TraceID is a W3C trace id; zero means none.
type TraceID [16]byte

// IsZero reports that there is none.
func (id TraceID) IsZero() bool { return id == TraceID{} }

// String returns 32 lower-case hex digits.
func (id TraceID) String() string { return hex.EncodeToString(id[:]) }

// SpanID is a W3C span id; zero means none.
type SpanID [8]byte

// IsZero reports that there is none.
func (id SpanID) IsZero() bool { return id == SpanID{} }

// String returns 16 lower-case hex digits.
func (id SpanID) String() string { return hex.EncodeToString(id[:]) }

// Stream is where a container wrote a line to.
type Stream uint8

// The streams; UnknownStream is what records from elsewhere have.
const (
	UnknownStream Stream = 0
	Stdout        Stream = 1
	Stderr        Stream = 2
)

// String returns the value of the attribute log.iostream.
func (s Stream) String() string {
	switch s {
	case Stdout:
		return "stdout"
	case Stderr:
		return "stderr"
	}
	return ""
}

// LogFlags mark what happened to a line on its way.
type LogFlags uint8

const (
	// Truncated: the line was longer than the limit; its body is the beginning.
	Truncated LogFlags = 1 << iota
	// Partial: the line had no end when it was emitted (the writer died, or went on after a long pause).
	Partial
	// Future: the event time lies more than ten minutes ahead of the receive time. It is never rewritten.
	Future
)

// A Log is one log line or OTLP log record.
type Log struct {
	UnixNano         int64 // event time; of a split line, its first piece's
	ObservedUnixNano int64
	Severity         Severity
	Stream           Stream
	Flags            LogFlags
	TraceID          TraceID
	SpanID           SpanID
	Position         int64 // end offset of the line's last piece in the uncompressed file; 0 for records from elsewhere
	UID              UID   // set before any sink past a queue sees the record
	Body             []byte
	Attrs            []Attr
}

// SpanKind has OTLP's values.
type SpanKind uint8

// The span kinds of OTLP (opentelemetry/proto/trace/v1, Span.SpanKind).
const (
	SpanKindUnspecified SpanKind = iota
	SpanKindInternal
	SpanKindServer
	SpanKindClient
	SpanKindProducer
	SpanKindConsumer
)

// String returns the name as span metrics carry it, for example SPAN_KIND_SERVER.
func (k SpanKind) String() string {
	switch k {
	case SpanKindInternal:
		return "SPAN_KIND_INTERNAL"
	case SpanKindServer:
		return "SPAN_KIND_SERVER"
	case SpanKindClient:
		return "SPAN_KIND_CLIENT"
	case SpanKindProducer:
		return "SPAN_KIND_PRODUCER"
	case SpanKindConsumer:
		return "SPAN_KIND_CONSUMER"
	}
	return "SPAN_KIND_UNSPECIFIED"
}

// StatusCode has OTLP's values.
type StatusCode uint8

// The span status codes of OTLP (opentelemetry/proto/trace/v1, Status.StatusCode).
const (
	StatusUnset StatusCode = iota
	StatusOK
	StatusError
)

// String returns the name as span metrics carry it, for example STATUS_CODE_ERROR.
func (c StatusCode) String() string {
	switch c {
	case StatusOK:
		return "STATUS_CODE_OK"
	case StatusError:
		return "STATUS_CODE_ERROR"
	}
	return "STATUS_CODE_UNSET"
}

// A Span is one OTLP span.
type Span struct {
	TraceID       TraceID
	SpanID        SpanID
	ParentID      SpanID
	Kind          SpanKind
	Status        StatusCode
	Name          string
	StatusMessage string
	StartUnixNano int64
	EndUnixNano   int64
	Attrs         []Attr
	UID           UID    // as Log.UID
	Raw           []byte // the encoded opentelemetry.proto.trace.v1.Span, forwarded unchanged
}

// A Series is the identity of samples: interned, immutable, shared.
type Series struct {
	Labels labels.Labels // with __name__
	Type   model.MetricType
	Unit   string
	Help   string
}

// A Sample is one value of a series at one time. Exactly one of Value, Histogram and FloatHistogram counts: Value when
// both pointers are nil. A staleness marker is the NaN of Prometheus' model/value package.
type Sample struct {
	Series         *Series
	UnixMilli      int64
	StartUnixMilli int64 // start (created) timestamp, 0 if unknown
	Value          float64
	Histogram      *histogram.Histogram
	FloatHistogram *histogram.FloatHistogram
	Exemplars      []exemplar.Exemplar
}

// A Sink takes batches. nil means they are safe: durable here, or delivered. Any error means that the caller must
// send all of them again, unless it is [Permanent]; one that [RetryAfter] knows says when.
// Implementations isolate bad records themselves: one record's fault never fails the call.
// Implementations must not retain batches (see [Batch]).
type Sink interface {
	Write(ctx context.Context, batches []*Batch) error
}

// A Source pushes batches into next until ctx ends, and moves its own position only after Write returned nil.
// It returns nil when ctx has ended.
type Source interface {
	Run(ctx context.Context, next Sink) error
}
