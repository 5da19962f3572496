package elasticsearch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
)

// An outcome is what became of an item.
type outcome uint8

const (
	stored   outcome = iota
	conflict         // there already: success
	refused          // never in this form
	later            // not now
	unsure           // an error after which it may be stored or not
	outcomes         // how many there are
)

// A verdict is an item's outcome and what Elasticsearch said.
type verdict struct {
	outcome      outcome
	kind, reason string
}

// send posts items lo to hi and fills l.verdicts of them. A request that is refused as a whole for what it holds (413,
// 400) is halved, down to the one item at fault. After an error everything sent is in doubt.
func (l *lane) send(ctx context.Context, lo, hi int) error {
	answer, err := l.post(ctx, l.chunk.slice(lo, hi))
	var refusal *answerError
	if errors.As(err, &refusal) && (refusal.status == http.StatusRequestEntityTooLarge || refusal.status == http.StatusBadRequest) {
		if hi-lo == 1 {
			l.verdicts[lo] = verdict{refused, refusal.kind, refusal.reason}
			if refusal.status == http.StatusRequestEntityTooLarge {
				l.verdicts[lo].kind = tooLarge
			}
			return nil
		}
		middle := (lo + hi) / 2
		if err := l.send(ctx, lo, middle); err != nil {
			return err
		}
		return l.send(ctx, middle, hi)
	}
	if err != nil {
		return fmt.Errorf("cannot store %d documents in %s: %w", hi-lo, l.stream, err)
	}
	if index := writeIndexOf(answer); index != "" {
		if err := l.state.learn(l.stream, index); err != nil {
			return err
		}
	}
	return readVerdicts(answer, l.verdicts[lo:hi])
}

const tooLarge = "too_large"

// post sends one bulk request and returns the answer to it, 200 only.
func (l *lane) post(ctx context.Context, body []byte) ([]byte, error) {
	r := request{
		method:      http.MethodPost,
		path:        "/" + name(l.stream) + "/_bulk?filter_path=errors,items.*._index,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason",
		body:        body,
		contentType: "application/x-ndjson",
		opaqueID:    l.opaqueID,
	}
	if l.compression != telemetry.Identity {
		l.wire = compression.Compress(l.wire, body, l.compression)
		r.body, r.encoding = l.wire, l.compression.String()
	}
	started := l.now()
	l.idle = false
	disk.Point("es.bulk.before")
	status, header, answer, err := l.client.do(ctx, r, func() { disk.Point("es.bulk.middle") })
	disk.Point("es.bulk.after")
	l.metrics.bulkSeconds.Observe(l.now().Sub(started).Seconds())
	l.metrics.bulkBytes.WithLabelValues("plain").Add(float64(len(body)))
	l.metrics.bulkBytes.WithLabelValues("sent").Add(float64(len(r.body)))
	l.idle = err == nil && status < 500 // a 5xx may be a proxy's that has lost patience
	if err == nil && status != http.StatusOK {
		err = statusError(r, status, header, answer)
	}
	if err != nil {
		l.metrics.bulks.WithLabelValues("failed").Inc()
		return nil, err
	}
	l.metrics.bulks.WithLabelValues("answered").Inc()
	return answer, nil
}

// readVerdicts reads the answer to a bulk of len(verdicts) items, which come in the order sent.
func readVerdicts(answer []byte, verdicts []verdict) error {
	if bytes.HasPrefix(answer, []byte(`{"errors":false`)) {
		clear(verdicts)
		return nil
	}
	var bulk struct {
		Items []struct {
			Create *struct {
				Status int `json:"status"`
				Error  struct {
					Type     string `json:"type"`
					Reason   string `json:"reason"`
					CausedBy struct {
						Reason string `json:"reason"`
					} `json:"caused_by"`
				} `json:"error"`
			} `json:"create"`
		} `json:"items"`
	}
	if err := json.Unmarshal(answer, &bulk); err != nil {
		return fmt.Errorf("cannot read the answer to a bulk: %w", err)
	}
	if len(bulk.Items) != len(verdicts) {
		return fmt.Errorf("cannot read the answer to a bulk: %d items sent, %d answered", len(verdicts), len(bulk.Items))
	}
	for i, it := range bulk.Items {
		if it.Create == nil {
			return fmt.Errorf("cannot read the answer to a bulk: item %d has no result", i)
		}
		reason := it.Create.Error.Reason
		if cause := it.Create.Error.CausedBy.Reason; cause != "" {
			reason += ": " + cause
		}
		verdicts[i] = verdict{judge(it.Create.Status), it.Create.Error.Type, reason}
	}
	return nil
}

func judge(status int) outcome {
	switch {
	case status >= 200 && status < 300:
		return stored
	case status == http.StatusConflict:
		return conflict
	case status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge:
		return refused
	case status < 500: // 429; 401, 403 and 404 are the operator's to mend, not the document's fault
		return later
	}
	return unsure
}
