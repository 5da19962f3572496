package intake

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// A Refusal is an error that knows the HTTP status it is answered with.
type Refusal struct {
	Status int
	Err    error
}

func (r *Refusal) Error() string { return r.Err.Error() }
func (r *Refusal) Unwrap() error { return r.Err }

// Answer returns the HTTP status for err, and the seconds for Retry-After (0: no such header). It is the one place
// where a receiver's errors become answers: "not now" is 429, what can never be taken 400, anything else 503, which
// every client tries again.
func Answer(err error) (status, retrySeconds int) {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal.Status, 0
	}
	if after, ok := telemetry.RetryAfter(err); ok {
		return http.StatusTooManyRequests, int(max(1, math.Ceil(min(after, time.Hour).Seconds())))
	}
	if telemetry.IsPermanent(err) {
		return http.StatusBadRequest, 0
	}
	return http.StatusServiceUnavailable, 0
}

// The headers (gRPC: metadata keys, in lower case) that say where a frame comes from.
const (
	TenantHeader   = "X-Scope-OrgID"
	QueueIDHeader  = "X-Braid-Queue-Id"
	SequenceHeader = "X-Braid-Sequence"
)

const maxTenantBytes = 128

// Mark sets f.Tenant, f.Origin and f.Sequence from the headers that get returns. A queue id is 16 hex digits and comes
// with a sequence, a decimal; what does not read so is a [Refusal] with 400: deduplicating by a misread origin would
// lose data.
func Mark(f *telemetry.Frame, get func(header string) string) error {
	f.Tenant = get(TenantHeader)
	if len(f.Tenant) > maxTenantBytes {
		return &Refusal{http.StatusBadRequest, fmt.Errorf("%s is longer than %d bytes", TenantHeader, maxTenantBytes)}
	}
	id, sequence := get(QueueIDHeader), get(SequenceHeader)
	if id == "" && sequence == "" {
		return nil
	}
	if len(id) != hex.EncodedLen(len(f.Origin)) {
		return &Refusal{http.StatusBadRequest, fmt.Errorf("%s %q is not 16 hex digits", QueueIDHeader, id)}
	}
	if _, err := hex.Decode(f.Origin[:], []byte(id)); err != nil {
		return &Refusal{http.StatusBadRequest, fmt.Errorf("%s %q is not 16 hex digits: %w", QueueIDHeader, id, err)}
	}
	var err error
	if f.Sequence, err = strconv.ParseUint(sequence, 10, 64); err != nil {
		return &Refusal{http.StatusBadRequest, fmt.Errorf("%s %q is not a decimal: %w", SequenceHeader, sequence, err)}
	}
	return nil
}
