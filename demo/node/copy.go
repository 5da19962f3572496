package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// pieceBytes is where containerd splits a line (its max_container_log_line_size).
const pieceBytes = 16384

// Copy moves what a process writes to one stream into the log until r ends. A line of more than 16,384 bytes becomes
// pieces of that size, also within a character; a last line without newline becomes a P that no F follows; a CR before
// the newline is dropped.
func (c *Container) Copy(stream string, r io.Reader) error {
	buf := make([]byte, 0, 4*pieceBytes)
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		rest, werr := c.pieces(stream, buf[:len(buf)+n])
		if werr != nil {
			return werr
		}
		buf = buf[:copy(buf[:cap(buf)], rest)]
		if err == nil {
			continue
		}
		if len(buf) > 0 {
			if werr := c.write(stream, 'P', buf); werr != nil {
				return werr
			}
		}
		// os.ErrClosed: the process was waited for and its pipe closed after all had been read.
		if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
			return nil
		}
		return fmt.Errorf("cannot read the container's %s: %w", stream, err)
	}
}

// pieces writes every piece that data completes and returns the rest, at most pieceBytes long.
func (c *Container) pieces(stream string, data []byte) (rest []byte, err error) {
	for {
		end := bytes.IndexByte(data[:min(len(data), pieceBytes+1)], '\n')
		switch {
		case end >= 0:
			err = c.write(stream, 'F', bytes.TrimSuffix(data[:end], []byte("\r")))
			data = data[end+1:]
		case len(data) > pieceBytes:
			err = c.write(stream, 'P', data[:pieceBytes])
			data = data[pieceBytes:]
		default:
			return data, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
