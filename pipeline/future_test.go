package pipeline

import (
	"testing"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/otlp"
)

// A clock that is wrong is shown, not mended: by the receive time, which is the same for every cursor and after a restart.
func TestLinesFromTheFutureAreFlagged(t *testing.T) {
	const received = 1_795_219_578_000_000_000
	b := &telemetry.Batch{Resource: &telemetry.Resource{Pod: "p"}}
	times := []int64{0, received - 1e18, received, received + future, received + future + 1, received + 1e18}
	for _, at := range times {
		b.Logs = append(b.Logs, telemetry.Log{UnixNano: at, Flags: telemetry.Truncated, Body: []byte("line")})
	}
	f := telemetry.Frame{Signal: telemetry.Logs, Encoding: telemetry.OTLP, ReceivedUnixNano: received, Body: otlp.AppendLogs(nil, []*telemetry.Batch{b})}
	batches, _, err := new(decoder).decode(&f, telemetry.QueueID{1}, 1<<20)
	if err != nil || len(batches) != 1 || len(batches[0].Logs) != len(times) {
		t.Fatal(batches, err)
	}
	for i, l := range batches[0].Logs {
		want := telemetry.Truncated
		if i >= 4 {
			want |= telemetry.Future
		}
		if l.Flags != want || l.UnixNano != times[i] {
			t.Errorf("a line of %+d ns has flags %d and time %+d", times[i]-received, l.Flags, l.UnixNano-received)
		}
	}
}
