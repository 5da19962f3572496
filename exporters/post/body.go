package post

import (
	"io"
	"sync"
)

// A lease lets readers have bytes until it ends. Transports may go on reading a body in a goroutine of their own after
// they have returned, for example when the answer came before the body was out. Waiting until they close it was
// rejected: some round trippers in front of a transport never do.
type lease struct {
	mu   sync.Mutex
	data []byte // nil once it has ended
}

// end takes the bytes back: no reader holds them when it returns.
func (l *lease) end() {
	l.mu.Lock()
	l.data = nil
	l.mu.Unlock()
}

// reader returns a new reader of all the bytes. A request that is sent again on another connection needs a second one.
func (l *lease) reader() io.ReadCloser { return &leased{lease: l} }

type leased struct {
	lease  *lease
	offset int
}

// Read copies under the lease's lock. It deliberately is no io.WriterTo, which would hand the bytes themselves out.
func (r *leased) Read(p []byte) (int, error) {
	r.lease.mu.Lock()
	defer r.lease.mu.Unlock()
	if r.lease.data == nil {
		return 0, io.ErrClosedPipe
	}
	if r.offset == len(r.lease.data) {
		return 0, io.EOF
	}
	n := copy(p, r.lease.data[r.offset:])
	r.offset += n
	return n, nil
}

func (r *leased) Close() error { return nil }
