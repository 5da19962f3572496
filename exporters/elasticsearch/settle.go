package elasticsearch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/braidhq/braid/disk"
)

// arrival is how long a bulk whose connection is gone is given to show up in the task list.
const arrival = 200 * time.Millisecond

// settle takes out of the chunk what is in doubt and turns out to be stored.
func (l *lane) settle(ctx context.Context) error {
	earliest, n := int64(math.MaxInt64), 0
	for i := range l.chunk.items {
		if it := &l.chunk.items[i]; l.inDoubt(it) {
			earliest = min(earliest, it.received)
			n++
		}
	}
	if n == 0 {
		return nil
	}
	if !l.idle {
		if err := l.awaitIdle(ctx); err != nil {
			return fmt.Errorf("cannot wait for an earlier bulk to end: %w", err)
		}
		l.idle = true
	}
	indices, err := l.client.backingIndices(ctx, l.stream)
	if err != nil {
		return err
	}
	stored := make([]bool, len(l.chunk.items))
	for _, index := range l.state.candidates(l.stream, indices, earliest) {
		if err := l.lookUp(ctx, index, stored); err != nil {
			return fmt.Errorf("cannot look up what is stored in %s: %w", index, err)
		}
	}
	l.metrics.settled.Add(float64(n))
	already := 0
	for i := range l.chunk.items {
		l.chunk.items[i].asked, l.chunk.items[i].doubt = true, false
		if stored[i] {
			already++
		}
	}
	l.metrics.documents.WithLabelValues(l.stream, "already").Add(float64(already))
	l.chunk.retain(func(i int) bool { return !stored[i] })
	disk.Point("es.settled")
	return nil
}

func (l *lane) inDoubt(it *item) bool { return it.doubt || !it.asked && it.received <= l.doubt.Load() }

// awaitIdle waits until no bulk of ours to this data stream runs in the cluster. It looks twice: a bulk may still lie
// in a buffer when its sender has given up on it.
func (l *lane) awaitIdle(ctx context.Context) error {
	for calm := 0; calm < 2; {
		n, err := l.client.running(ctx, l.opaqueID)
		if err != nil {
			return err
		}
		calm++
		if n > 0 {
			calm = 0
		}
		if calm < 2 {
			if err := l.pause(ctx, arrival); err != nil {
				return err
			}
		}
	}
	return nil
}

// running counts the bulk tasks in the cluster whose X-Opaque-Id is opaqueID.
func (c *client) running(ctx context.Context, opaqueID string) (int, error) {
	var answer struct {
		Tasks []struct {
			Headers map[string]string `json:"headers"`
		} `json:"tasks"`
		NodeFailures []json.RawMessage `json:"node_failures"`
		TaskFailures []json.RawMessage `json:"task_failures"`
	}
	err := c.call(ctx, request{
		method: http.MethodGet,
		path:   "/_tasks?actions=indices:data/write/bulk*&detailed=true&group_by=none",
	}, &answer)
	if err != nil {
		return 0, err
	}
	if len(answer.NodeFailures)+len(answer.TaskFailures) > 0 {
		return 0, fmt.Errorf("some node did not list its tasks")
	}
	n := 0
	for _, task := range answer.Tasks {
		if task.Headers["X-Opaque-Id"] == opaqueID {
			n++
		}
	}
	return n, nil
}

// lookUp asks index for every item in doubt, by realtime get: it sees what no refresh has shown to searches yet.
func (l *lane) lookUp(ctx context.Context, index string, stored []bool) error {
	var asked []int
	body := []byte(`{"ids":[`)
	for i := range l.chunk.items {
		it := &l.chunk.items[i]
		if stored[i] || !l.inDoubt(it) {
			continue
		}
		if len(asked) > 0 {
			body = append(body, ',')
		}
		asked = append(asked, i)
		body = append(body, '"')
		body = append(body, l.chunk.id(it)...)
		body = append(body, '"')
	}
	if len(asked) == 0 {
		return nil
	}
	body = append(body, `]}`...)
	var answer struct {
		Docs []struct {
			Found bool `json:"found"`
			Error *struct {
				Type   string `json:"type"`
				Reason string `json:"reason"`
			} `json:"error"`
		} `json:"docs"`
	}
	err := l.client.call(ctx, request{
		method: http.MethodPost,
		path:   "/" + name(index) + "/_mget?realtime=true&_source=false&filter_path=docs.found,docs.error.type,docs.error.reason",
		body:   body,
	}, &answer)
	if isStatus(err, http.StatusNotFound) {
		return nil // retention has just taken it away
	}
	if err != nil {
		return err
	}
	if len(answer.Docs) != len(asked) {
		return fmt.Errorf("%d ids asked for, %d answered", len(asked), len(answer.Docs))
	}
	for n, doc := range answer.Docs {
		if doc.Error != nil && doc.Error.Type != "index_not_found_exception" {
			return fmt.Errorf("%s: %s", doc.Error.Type, doc.Error.Reason)
		}
		stored[asked[n]] = doc.Found
	}
	return nil
}

// writeIndexOf returns the backing index that the last item of a bulk's answer went to: "" if it names none.
func writeIndexOf(answer []byte) string {
	const key = `"_index":"`
	at := bytes.LastIndex(answer, []byte(key))
	if at < 0 {
		return ""
	}
	index, _, _ := strings.Cut(string(answer[at+len(key):min(len(answer), at+len(key)+512)]), `"`)
	return index
}
