package otlp

import (
	"context"
	"slices"
	"sync"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.uber.org/goleak"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keeper is an Appender that keeps copies, or answers err.
type keeper struct {
	mu     sync.Mutex
	frames []telemetry.Frame
	err    error
	wait   chan struct{} // if set, Append waits for it
	enters chan struct{}
}

func (k *keeper) Append(ctx context.Context, frames []telemetry.Frame) error {
	if k.wait != nil {
		k.enters <- struct{}{}
		<-k.wait
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	for _, f := range frames {
		f.Body = slices.Clone(f.Body)
		k.frames = append(k.frames, f)
	}
	return nil
}

// one returns the only frame and forgets it.
func (k *keeper) one(t *testing.T) telemetry.Frame {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.frames) != 1 {
		t.Fatalf("%d frames were kept, want 1", len(k.frames))
	}
	f := k.frames[0]
	k.frames = nil
	return f
}

func (k *keeper) none(t *testing.T) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.frames) != 0 {
		t.Fatalf("%d frames were kept, want none", len(k.frames))
	}
}

func someLogs() plogotlp.ExportRequest {
	r := plogotlp.NewExportRequest()
	rl := r.Logs().ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "cart")
	records := rl.ScopeLogs().AppendEmpty().LogRecords()
	for _, line := range []string{"one", "two", "three"} {
		l := records.AppendEmpty()
		l.Body().SetStr(line)
		l.SetTimestamp(1_700_000_000_000_000_001)
		l.SetTraceID([16]byte{1, 2, 3})
		l.Attributes().PutInt("n", 1<<60)
	}
	return r
}

func someSpans() ptraceotlp.ExportRequest {
	r := ptraceotlp.NewExportRequest()
	rs := r.Traces().ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "cart")
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	for i := range byte(2) {
		s := spans.AppendEmpty()
		s.SetName("GET /")
		s.SetTraceID([16]byte{1, 2, 3})
		s.SetSpanID([8]byte{i + 1})
		s.SetKind(ptrace.SpanKindServer)
		s.SetStartTimestamp(1_700_000_000_000_000_001)
		s.SetEndTimestamp(1_700_000_000_000_000_002)
	}
	return r
}

func marshal(t testing.TB, m interface{ MarshalProto() ([]byte, error) }) []byte {
	t.Helper()
	b, err := m.MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func plainBody(t *testing.T, f telemetry.Frame) []byte {
	t.Helper()
	plain, err := compression.Decompress(nil, f.Body, f.Compression, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}
