package store

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/braidhq/braid/telemetry"
)

// useGranularity is how often at most a stream's record is rewritten to say that it is still in use.
const useGranularity = time.Hour

// resourceCacheSize bounds how many resources are found by pointer.
const resourceCacheSize = 1 << 13

// A stream is the identity of stored records. Immutable but for what the table's lock guards.
type stream struct {
	id       uint64
	tenant   string
	resource *telemetry.Resource
	identity string // the encoding of tenant and resource

	// Guarded by streams.mu.
	usedUntil int64 // no record of the stream was received after this time
	stored    bool  // a synced record of the stream says usedUntil
}

type resourceKey struct {
	tenant   string
	resource *telemetry.Resource
}

// streams is the table of all streams, held in memory. Every id is that of its identity's hash, or, if another identity
// has it, the next free one; identities are compared in full, so that no two ever share an id.
type streams struct {
	mu         sync.RWMutex
	byID       map[uint64]*stream
	byIdentity map[string]*stream
	byResource map[resourceKey]*stream
	scratch    []byte
}

func newStreams() *streams {
	return &streams{
		byID: map[uint64]*stream{}, byIdentity: map[string]*stream{}, byResource: map[resourceKey]*stream{},
	}
}

// noResource stands for the missing resource of a batch.
var noResource = &telemetry.Resource{Restart: -1}

// load fills the table from its records.
func (t *streams) load(db *pebble.DB) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{streamPrefix}, UpperBound: []byte{streamPrefix + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		st, err := parseStream(it.Key(), it.Value())
		if err != nil {
			return err
		}
		t.byID[st.id], t.byIdentity[st.identity] = st, st
	}
	return it.Error()
}

func appendStreamKey(b []byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, streamPrefix), id)
}

func parseStream(key, value []byte) (*stream, error) {
	if len(key) != 9 || len(value) < 8 {
		return nil, fmt.Errorf("%w: stream % x", errCorrupt, key)
	}
	st := &stream{
		id: binary.BigEndian.Uint64(key[1:]), usedUntil: readTime(value), identity: string(value[8:]), stored: true,
	}
	var err error
	st.tenant, st.resource, err = decodeIdentity(value[8:])
	return st, err
}

// touch returns the stream of a record received at the given time, and reports whether its record must be put into the
// batch that stores the record, because no synced one says that it is in use.
func (t *streams) touch(tenant string, r *telemetry.Resource, received int64) (st *stream, put bool) {
	if r == nil {
		r = noResource
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	st = t.byResource[resourceKey{tenant, r}]
	if st == nil {
		st = t.find(tenant, r)
		if len(t.byResource) >= resourceCacheSize {
			clear(t.byResource)
		}
		t.byResource[resourceKey{tenant, r}] = st
	}
	if received > st.usedUntil {
		st.usedUntil = received + int64(useGranularity)
		st.stored = false
	}
	return st, !st.stored
}

// find looks a stream up by its identity, or makes it.
func (t *streams) find(tenant string, r *telemetry.Resource) *stream {
	t.scratch = appendIdentity(t.scratch[:0], tenant, r)
	if st := t.byIdentity[string(t.scratch)]; st != nil {
		return st
	}
	st := &stream{identity: string(t.scratch), usedUntil: -1 << 63}
	var err error
	if st.tenant, st.resource, err = decodeIdentity(t.scratch); err != nil { // a copy: r may alias what is lent
		panic("BUG: an encoded identity does not decode: " + err.Error())
	}
	sum := sha256.Sum256(t.scratch)
	st.id = binary.BigEndian.Uint64(sum[:])
	for t.byID[st.id] != nil {
		st.id++
	}
	t.byID[st.id], t.byIdentity[st.identity] = st, st
	return st
}

// put writes the stream's record into b and returns the time it says, for confirm.
func (t *streams) put(b *pebble.Batch, st *stream) (usedUntil int64, err error) {
	t.mu.RLock()
	usedUntil = st.usedUntil
	t.mu.RUnlock()
	value := append(appendTime(nil, usedUntil), st.identity...)
	return usedUntil, b.Set(appendStreamKey(nil, st.id), value, nil)
}

// confirm says that a record of st that says usedUntil is synced.
func (t *streams) confirm(st *stream, usedUntil int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if st.usedUntil == usedUntil {
		st.stored = true
	}
}

// get returns the stream with the given id, nil if there is none (any more).
func (t *streams) get(id uint64) *stream {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byID[id]
}

// match returns the streams for which keep holds, in no order.
func (t *streams) match(keep func(*stream) bool) []*stream {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var found []*stream
	for _, st := range t.byID {
		if keep(st) {
			found = append(found, st)
		}
	}
	return found
}

// expire forgets the streams none of whose records was received at or after cutoff, and returns how many are left.
// It deletes under the lock, so that the record of a stream that comes back is put after its deletion.
func (t *streams) expire(db *pebble.DB, cutoff int64) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, st := range t.byID {
		if st.usedUntil >= cutoff {
			continue
		}
		if err := db.Delete(appendStreamKey(nil, id), pebble.NoSync); err != nil {
			return 0, err
		}
		delete(t.byID, id)
		delete(t.byIdentity, st.identity)
		clear(t.byResource)
	}
	return len(t.byID), nil
}
