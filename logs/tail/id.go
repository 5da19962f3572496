package tail

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"strconv"

	"github.com/braidhq/braid/telemetry"
)

func indexNewline(b []byte) int { return bytes.IndexByte(b, '\n') }

// FileID returns the identity of a file of attempt c whose first complete line is firstLine, without its newline: the
// first 96 bits of SHA-256 over directory name, NUL, container, NUL, restart in decimal, NUL, line. In docker's trees the
// directory is the container and the attempt: container and restart are left empty, since docker's configuration, which
// tells them, may be unreadable at times.
func FileID(c Container, firstLine []byte) telemetry.FileID {
	h := newFileHash(c)
	h.Write(firstLine)
	return sumFileID(h)
}

func newFileHash(c Container) hash.Hash {
	h := sha256.New()
	io.WriteString(h, c.Dir)
	h.Write([]byte{0})
	if c.ContainerID == "" {
		io.WriteString(h, c.Container)
	}
	h.Write([]byte{0})
	if c.ContainerID == "" {
		io.WriteString(h, strconv.Itoa(c.Restart))
	}
	h.Write([]byte{0})
	return h
}

func sumFileID(h hash.Hash) (id telemetry.FileID) {
	var sum [sha256.Size]byte
	copy(id[:], h.Sum(sum[:0]))
	return id
}

// ReadFileID reads the identity of a file of attempt c from its beginning. ok is false while it has no complete line.
func ReadFileID(c Container, r io.Reader) (id telemetry.FileID, ok bool, err error) {
	h := newFileHash(c)
	buf := make([]byte, 4<<10)
	for {
		n, err := r.Read(buf)
		if i := indexNewline(buf[:n]); i >= 0 {
			h.Write(buf[:i])
			return sumFileID(h), true, nil
		}
		h.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			return id, false, nil
		}
		if err != nil {
			return id, false, err
		}
	}
}
