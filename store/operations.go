package store

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/braidhq/braid/telemetry"
)

// The table of operations is bounded: by what all services have together, by what one of them may take from the others,
// and by the length of a name. What does not fit is counted and not listed; its spans are found all the same.
const (
	maxOperations        = 20_000
	maxServiceOperations = 1_000
	maxOperationBytes    = 1 << 10
)

type serviceKey struct{ tenant, service string }

// An operation is a span name of one kind at one service.
type operation struct {
	serviceKey
	telemetry.Operation

	// Guarded by operations.mu.
	usedUntil int64 // as a stream's
	stored    bool
}

// operations is the table of services and their operations, held in memory.
type operations struct {
	mu        sync.RWMutex
	byService map[serviceKey]map[telemetry.Operation]*operation
	count     int
}

func newOperations() *operations {
	return &operations{byService: map[serviceKey]map[telemetry.Operation]*operation{}}
}

func (o *operation) key() []byte {
	b := appendString([]byte{operationPrefix}, o.tenant)
	b = appendString(b, o.service)
	return appendString(append(b, byte(o.Kind)), o.Name)
}

func parseOperation(key, value []byte) (*operation, error) {
	if len(key) == 0 || key[0] != operationPrefix || len(value) != 8 {
		return nil, fmt.Errorf("%w: operation % x", errCorrupt, key)
	}
	d := decoder{b: key[1:]}
	op := &operation{usedUntil: readTime(value), stored: true}
	op.tenant, op.service = d.string(), d.string()
	op.Kind, op.Name = telemetry.SpanKind(d.byte()), d.string()
	return op, d.end()
}

// load fills the table from its records.
func (t *operations) load(db *pebble.DB) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{operationPrefix}, UpperBound: []byte{operationPrefix + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		op, err := parseOperation(it.Key(), it.Value())
		if err != nil {
			return err
		}
		t.add(op)
	}
	return it.Error()
}

func (t *operations) add(op *operation) {
	of := t.byService[op.serviceKey]
	if of == nil {
		of = map[telemetry.Operation]*operation{}
		t.byService[op.serviceKey] = of
	}
	of[op.Operation] = op
	t.count++
}

// touch returns the operation of a span received at the given time, nil if the table has no room for it, and reports
// whether its record must be put into the batch that stores the span. k and o are lent.
func (t *operations) touch(k serviceKey, o telemetry.Operation, received int64) (op *operation, put bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	op = t.byService[k][o]
	if op == nil {
		if t.count >= maxOperations || len(t.byService[k]) >= maxServiceOperations || len(o.Name) > maxOperationBytes || len(k.service) > maxOperationBytes {
			return nil, false
		}
		o.Name = strings.Clone(o.Name)
		op = &operation{serviceKey: k, Operation: o, usedUntil: math.MinInt64}
		t.add(op)
	}
	if received > op.usedUntil {
		op.usedUntil, op.stored = received+int64(useGranularity), false
	}
	return op, !op.stored
}

// put writes the operation's record into b and returns the time it says, for confirm.
func (t *operations) put(b *pebble.Batch, op *operation) (usedUntil int64, err error) {
	t.mu.RLock()
	usedUntil = op.usedUntil
	t.mu.RUnlock()
	return usedUntil, b.Set(op.key(), appendTime(nil, usedUntil), nil)
}

// confirm says that a record of op that says usedUntil is synced.
func (t *operations) confirm(op *operation, usedUntil int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	op.stored = op.stored || op.usedUntil == usedUntil
}

// expire forgets the operations none of whose spans was received at or after cutoff; under the lock, as streams do it.
func (t *operations) expire(db *pebble.DB, cutoff int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, of := range t.byService {
		for o, op := range of {
			if op.usedUntil >= cutoff {
				continue
			}
			if err := db.Delete(op.key(), pebble.NoSync); err != nil {
				return err
			}
			delete(of, o)
			t.count--
		}
		if len(of) == 0 {
			delete(t.byService, k)
		}
	}
	return nil
}

// addOperation puts what the table says of a span's operation into the batch, if it is not on disk yet. The strings of
// st are the store's own.
func (w *write) addOperation(st *stream, s *telemetry.Span, received int64) error {
	op, put := w.Store.operations.touch(serviceKey{st.tenant, st.resource.Service}, telemetry.Operation{Name: s.Name, Kind: s.Kind}, received)
	if op == nil {
		w.metrics.unlisted.Inc()
		return nil
	}
	if _, done := w.operations[op]; !put || done {
		return nil
	}
	use, err := w.Store.operations.put(w.batch, op)
	w.operations[op] = use
	return err
}

// Services implements query.TraceSearch: the services that have stored spans, in one of namespaces (nil: anywhere), by name.
func (s *Store) Services(ctx context.Context, tenant string, namespaces []string) ([]string, error) {
	if !s.enter() {
		return nil, ErrClosed
	}
	defer s.users.Done()
	if namespaces != nil {
		return s.servicesIn(ctx, tenant, namespaces)
	}
	s.operations.mu.RLock()
	defer s.operations.mu.RUnlock()
	var found []string
	for k := range s.operations.byService {
		if k.tenant == tenant && k.service != "" {
			found = append(found, k.service)
		}
	}
	slices.Sort(found)
	return found, nil
}

// Operations implements query.TraceSearch: what a service has stored spans of, in one of namespaces (nil: anywhere), by name
// and kind. The table does not know namespaces: in some of them it is what the newest spans of each stream are.
func (s *Store) Operations(ctx context.Context, tenant, service string, namespaces []string) (found []telemetry.Operation, err error) {
	if !s.enter() {
		return nil, ErrClosed
	}
	defer s.users.Done()
	if namespaces != nil {
		found, err = s.operationsIn(ctx, tenant, service, namespaces)
	} else {
		found = s.operations.of(serviceKey{tenant, service})
	}
	slices.SortFunc(found, func(a, b telemetry.Operation) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
	})
	return found, err
}

func (t *operations) of(k serviceKey) (found []telemetry.Operation) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for o := range t.byService[k] {
		found = append(found, o)
	}
	return found
}
