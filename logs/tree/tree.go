package tree

import (
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/logs/tail"
)

// A Container is one container of one pod in a tree.
type Container struct {
	Namespace, Pod, PodUID, Name string
	Attempts                     []Attempt // by restart, oldest first; at least one

	root   string
	format format.Format
	dir    string // path of the directory that all attempts share
	key    string // its name below root: what makes it the same container in the next listing
}

// An Attempt is one run of a container: what is left of its files, oldest first.
type Attempt struct {
	Restart int
	Files   []tail.File
}

// List returns the containers of the tree below root, sorted by namespace, pod, uid and container.
// What cannot be read is left out and told in the error; the rest is still returned.
func List(root string, f format.Format) ([]Container, error) {
	files, err := tail.List(root, f)
	var containers []Container
	for _, file := range files {
		dir := filepath.Dir(file.Path)
		if n := len(containers); n == 0 || containers[n-1].dir != dir {
			containers = append(containers, Container{
				Namespace: file.Namespace, Pod: file.Pod, PodUID: file.PodUID, Name: file.Container.Container,
				root: root, format: f, dir: dir, key: filepath.Join(file.Dir, file.Container.Container),
			})
		}
		containers[len(containers)-1].add(file)
	}
	return containers, err
}

// add appends a file to the last attempt or to a new one; files come ordered by restart.
func (c *Container) add(f tail.File) {
	if n := len(c.Attempts); n == 0 || c.Attempts[n-1].Restart != f.Restart {
		c.Attempts = append(c.Attempts, Attempt{Restart: f.Restart})
	}
	last := &c.Attempts[len(c.Attempts)-1]
	last.Files = append(last.Files, f)
}

// containerID is known in docker trees only, where a container has one attempt.
func (a *Attempt) containerID() string {
	if len(a.Files) == 0 {
		return ""
	}
	return a.Files[0].ContainerID
}

// live returns the path that the attempt is written to.
func (a *Attempt) live(dir string) string {
	for i := range a.Files {
		if a.Files[i].Kind == tail.Live {
			return a.Files[i].Path
		}
	}
	return filepath.Join(dir, strconv.Itoa(a.Restart)+".log")
}

// Newest returns the last attempt.
func (c *Container) Newest() *Attempt { return &c.Attempts[len(c.Attempts)-1] }

// Attempt returns the attempt with this restart number, nil if nothing is left of it.
func (c *Container) Attempt(restart int) *Attempt {
	for i := range c.Attempts {
		if c.Attempts[i].Restart == restart {
			return &c.Attempts[i]
		}
	}
	return nil
}

// from returns the attempts with this restart number or a later one.
func (c *Container) from(restart int) []Attempt {
	for i := range c.Attempts {
		if c.Attempts[i].Restart >= restart {
			return c.Attempts[i:]
		}
	}
	return nil
}

// relist returns the container as it lies on disk now, without attempts if nothing is left of it.
func (c *Container) relist() (Container, error) {
	now, err := List(c.root, c.format)
	for i := range now {
		if now[i].key == c.key {
			return now[i], nil
		}
	}
	gone := *c
	gone.Attempts = nil
	if _, missing := os.Stat(c.dir); missing != nil {
		return gone, nil
	}
	return gone, err
}

// LastWrite returns when a file of any of the containers was last written to.
func LastWrite(containers []Container) time.Time {
	var last time.Time
	for _, c := range containers {
		for _, a := range c.Attempts {
			for _, f := range a.Files {
				if f.ModTime.After(last) {
					last = f.ModTime
				}
			}
		}
	}
	return last
}
