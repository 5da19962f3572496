package node

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Watch calls Rotate every so often, as the kubelet does, until ctx ends. It returns nil or Rotate's error.
func (c *Container) Watch(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if _, err := c.Rotate(); err != nil {
				return err
			}
		}
	}
}

// Rotate does what one check of the kubelet does when the live file has reached its size: (1) the oldest files beyond
// MaxFiles go, (2) the plain rotated file is packed, (3) the live file is renamed, (4) a new one is opened, (5) while
// for the length of Gap the runtime still wrote to the renamed one. It reports whether it rotated.
func (c *Container) Rotate() (bool, error) {
	info, err := os.Stat(c.path)
	if err != nil {
		return false, fmt.Errorf("cannot look at the live log: %w", err)
	}
	if info.Size() < c.o.MaxBytes {
		return false, nil
	}
	// The suffix is local time, as the kubelet's: no identity and no order for whoever reads the directory.
	target := c.path + "." + c.o.Now().Local().Format("20060102-150405")
	if exists(target) || exists(target+".gz") {
		return false, nil // twice within a second: the next check will do
	}
	rotated, err := c.rotated()
	if err != nil {
		return false, err
	}
	// Room for the live file and the one it is about to become.
	for len(rotated) > max(c.o.MaxFiles-2, 0) {
		if err := os.Remove(rotated[0]); err != nil {
			return false, fmt.Errorf("cannot delete the oldest log: %w", err)
		}
		rotated = rotated[1:]
	}
	for _, name := range rotated {
		if !strings.HasSuffix(name, ".gz") {
			if err := pack(name); err != nil {
				return false, fmt.Errorf("cannot pack a rotated log: %w", err)
			}
		}
	}
	if err := os.Rename(c.path, target); err != nil {
		return false, fmt.Errorf("cannot rename the live log: %w", err)
	}
	return true, c.reopen()
}

// reopen makes the new live file and turns the runtime to it after the gap.
func (c *Container) reopen() error {
	if c.o.Gap > 0 {
		<-time.After(c.o.Gap)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f, err := openLive(c.path)
	if err != nil {
		return err
	}
	old := c.file
	c.file = f
	return old.Close()
}

// rotated returns the rotated files, oldest first by suffix.
func (c *Container) rotated() ([]string, error) {
	names, err := filepath.Glob(c.path + ".*")
	if err != nil {
		return nil, fmt.Errorf("cannot list rotated logs: %w", err)
	}
	slices.Sort(names)
	return names, nil
}

// pack replaces a file by name.gz, through name.tmp.
func pack(name string) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(name+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(out)
	_, err = io.Copy(z, in)
	err = errors.Join(err, z.Close(), out.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(name+".tmp", name+".gz"); err != nil {
		return err
	}
	return os.Remove(name)
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}
