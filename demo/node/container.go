package node

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Options say where logs lie and when they are rotated.
type Options struct {
	Root     string        // stands for /var/log/pods
	MaxBytes int64         // a live file of this size or more is rotated at the next check
	MaxFiles int           // the live file and all rotated ones; the kubelet's default is 5
	Gap      time.Duration // how long the runtime goes on writing to the renamed file; about 1 ms on a real node
	Now      func() time.Time
}

// A Container is the log of one container. Its streams may be copied concurrently with each other and with Rotate.
type Container struct {
	o    Options
	path string // of the live file

	mu   sync.Mutex
	file *os.File
	line []byte // one CRI line being built
}

// Create makes the directories of a container's log and its first live file.
func Create(o Options, namespace, pod, uid, container string) (*Container, error) {
	dir := filepath.Join(o.Root, namespace+"_"+pod+"_"+uid, container)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("cannot make the log directory: %w", err)
	}
	c := &Container{o: o, path: filepath.Join(dir, "0.log")}
	f, err := openLive(c.path)
	if err != nil {
		return nil, err
	}
	c.file = f
	return c, nil
}

// Path returns the path of the live file.
func (c *Container) Path() string { return c.path }

// Close ends the log. The files stay.
func (c *Container) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.file.Close()
}

// write appends one piece as a CRI line: one write system call, so that no reader sees two pieces mixed.
func (c *Container) write(stream string, tag byte, piece []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	// time.RFC3339Nano drops trailing zeros, as containerd's log lines do.
	c.line = c.o.Now().UTC().AppendFormat(c.line[:0], time.RFC3339Nano)
	c.line = append(c.line, ' ')
	c.line = append(c.line, stream...)
	c.line = append(c.line, ' ', tag, ' ')
	c.line = append(c.line, piece...)
	c.line = append(c.line, '\n')
	if _, err := c.file.Write(c.line); err != nil {
		return fmt.Errorf("cannot write the container's log: %w", err)
	}
	return nil
}

func openLive(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("cannot open the container's log: %w", err)
	}
	return f, nil
}
