package elasticsearch

import (
	"cmp"
	"context"
	"fmt"

	"github.com/braidhq/braid/exporters/elasticsearch/ecs"
)

// maxOriginal is how much of the original goes into the dead letter of a document that is too large. Any other
// document's goes there whole.
const maxOriginal = 32 << 10

// bury stores the dead letters of the items that which names, each of which its verdict refused for good. The dead
// letter's own refusal is kept in l.lost: it must not hold up the rest.
func (l *lane) bury(ctx context.Context, which []int) error {
	if l.dead == nil {
		v := l.verdicts[which[0]]
		l.lost = fmt.Errorf("cannot store %d documents in the dead letter %s: %s: %s", len(which), l.stream, v.kind, v.reason)
		return nil
	}
	d := l.dead
	d.mu.Lock()
	defer d.mu.Unlock()
	d.chunk.reset()
	d.lost = nil
	for _, i := range which {
		it, v := &l.chunk.items[i], &l.verdicts[i]
		b, s := l.batches[it.batch], &l.settings[ecs.Full]
		s.Set(b, ecs.Full, l.now().UnixNano())
		l.prepared[ecs.Full] = b
		l.original = l.records.encode(l.original[:0], b, it.index, s, ecs.Full)
		letter := ecs.DeadLetter{DataStream: l.stream, Original: l.original, Type: v.kind, Reason: v.reason}
		if v.kind == tooLarge && len(l.original) > maxOriginal {
			letter.Original, letter.Cut = l.original[:maxOriginal], true
		}
		d.chunk.begin(item{received: it.received, form: ecs.Plain})
		d.chunk.body = append(d.chunk.body, l.chunk.id(it)...)
		d.chunk.document()
		d.chunk.body = ecs.AppendDeadLetter(d.chunk.body, &letter, b, s)
		d.chunk.finish()
		if len(d.chunk.body) >= d.maxBytes {
			if err := d.deliver(ctx); err != nil {
				return err
			}
		}
	}
	if err := d.deliver(ctx); err != nil {
		return err
	}
	l.lost = cmp.Or(l.lost, d.lost)
	return nil
}
