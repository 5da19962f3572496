package kube

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/braidhq/braid/listen"
)

// A question is the hash of all that an answer depends on. Tokens are remembered by nothing else.
type question struct{ h hash.Hash }

type questionKey [sha256.Size]byte

// add puts a list of texts into the question, so that no other list gives the same bytes.
func (q *question) add(texts ...string) {
	if q.h == nil {
		q.h = sha256.New()
	}
	b := binary.AppendUvarint(nil, uint64(len(texts)))
	for _, text := range texts {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	q.h.Write(b)
}

func (q *question) identity(who *listen.Identity) {
	q.add(who.Name, who.UID)
	q.add(who.Groups...)
	for _, key := range slices.Sorted(maps.Keys(who.Extra)) {
		q.add(key)
		q.add(who.Extra[key]...)
	}
}

func (q *question) key() (k questionKey) {
	q.h.Sum(k[:0])
	return k
}

// answers remembers what was answered, yes apart from no: whoever asks with made-up tokens pushes nobody out who is known.
type answers[V any] struct {
	now     func() time.Time
	asking  chan struct{} // one element per question at the API server
	mu      sync.Mutex
	yes, no map[questionKey]answer[V]
	waiting map[questionKey]*call[V]
}

type answer[V any] struct {
	value V
	until time.Time
}

// A call is a question that is being asked; what it found is valid once done is closed.
type call[V any] struct {
	done  chan struct{}
	value V
	yes   bool
	err   error
}

func newAnswers[V any](now func() time.Time) *answers[V] {
	return &answers[V]{
		now: now, asking: make(chan struct{}, maxAsking),
		yes: map[questionKey]answer[V]{}, no: map[questionKey]answer[V]{}, waiting: map[questionKey]*call[V]{},
	}
}

var errBusy = errors.New("too many questions are waiting for the Kubernetes API server")

// get returns the answer to k: the one that is remembered, that of the same question being asked by somebody else, or that
// of ask. An asker who goes away does not take the answer from the others.
func (a *answers[V]) get(ctx context.Context, k questionKey, ask func(context.Context) (V, bool, error)) (value V, yes bool, err error) {
	now := a.now()
	a.mu.Lock()
	if known, ok := a.yes[k]; ok && now.Before(known.until) {
		a.mu.Unlock()
		return known.value, true, nil
	}
	if known, ok := a.no[k]; ok && now.Before(known.until) {
		a.mu.Unlock()
		return known.value, false, nil
	}
	c := a.waiting[k]
	switch {
	case c != nil:
	case len(a.waiting) >= maxWaiting:
		a.mu.Unlock()
		return value, false, errBusy
	default:
		c = &call[V]{done: make(chan struct{})}
		a.waiting[k] = c
		go a.ask(context.WithoutCancel(ctx), k, c, now, ask)
	}
	a.mu.Unlock()
	select {
	case <-c.done:
		return c.value, c.yes, c.err
	case <-ctx.Done():
		return value, false, ctx.Err()
	}
}

// ask finds the answer. It holds from when it was asked for, not from when it came.
func (a *answers[V]) ask(ctx context.Context, k questionKey, c *call[V], at time.Time, ask func(context.Context) (V, bool, error)) {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	select {
	case a.asking <- struct{}{}:
		c.value, c.yes, c.err = ask(ctx)
		<-a.asking
	case <-ctx.Done():
		c.err = errBusy
	}
	a.mu.Lock()
	delete(a.waiting, k)
	switch {
	case c.err != nil:
	case c.yes:
		delete(a.no, k)
		remember(a.yes, k, answer[V]{c.value, at.Add(yesHolds)})
	default:
		delete(a.yes, k)
		remember(a.no, k, answer[V]{c.value, at.Add(noHolds)})
	}
	a.mu.Unlock()
	close(c.done)
}

// remember keeps an answer; any other one makes room for it.
func remember[V any](kept map[questionKey]answer[V], k questionKey, v answer[V]) {
	if _, known := kept[k]; !known && len(kept) >= maxAnswers {
		for other := range kept {
			delete(kept, other)
			break
		}
	}
	kept[k] = v
}
