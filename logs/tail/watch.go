package tail

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"

	"github.com/braidhq/braid/logs/format"
)

// A watchLevel says what a watched directory holds.
type watchLevel struct {
	depth  int // 0: a root, 1: a pod directory, 2: a place
	format format.Format
}

// Events is where the kernel's news arrive; give each to [Follower.Handle].
func (f *Follower) Events() <-chan fsnotify.Event { return f.watcher.Events }

// Errors is where the watcher's troubles arrive; give each to [Follower.HandleError].
func (f *Follower) Errors() <-chan error { return f.watcher.Errors }

// Handle takes one event. It only notes what to do; [Follower.Refresh] and [Follower.Collect] do it.
func (f *Follower) Handle(ev fsnotify.Event) {
	if ev.Op == fsnotify.Write {
		if a := f.byPath[ev.Name]; a != nil {
			f.enqueue(a)
			return
		}
	}
	if ev.Op == fsnotify.Chmod {
		return
	}
	dir := filepath.Dir(ev.Name)
	level, ok := f.watched[dir]
	if !ok {
		return
	}
	switch {
	case level.depth == 2:
		f.stale[dir] = f.places[dir]
	case ev.Has(fsnotify.Create):
		f.findBelow(ev.Name, level)
	case ev.Has(fsnotify.Remove) || ev.Has(fsnotify.Rename):
		if level.depth == 0 && level.format == format.CRI {
			delete(f.watched, ev.Name)
		}
		if p := f.places[ev.Name]; p != nil {
			f.stale[ev.Name] = p
		}
	}
}

// HandleError takes an error of the watcher. Events that did not fit the kernel's queue cost a full scan.
func (f *Follower) HandleError(err error) {
	f.o.Metrics.Errors.WithLabelValues("watch").Inc()
	if !errors.Is(err, fsnotify.ErrEventOverflow) {
		f.o.Logger.Error("cannot read inotify events", "err", err)
	}
	f.Rescan()
}

// Refresh scans the places in which names have changed since the last call.
func (f *Follower) Refresh() {
	if len(f.stale) == 0 {
		return
	}
	for dir, p := range f.stale {
		delete(f.stale, dir)
		f.scan(p)
	}
	f.enforceOpenBytes()
}

// Rescan looks at everything: the net for what inotify did not tell.
func (f *Follower) Rescan() {
	f.lastScan = f.o.Now()
	f.watchFails = false
	f.failed, f.failedThen = map[string]bool{}, f.failed
	for _, r := range f.o.Roots {
		// Watches come before listings, so that nothing can appear unseen between the two.
		f.watch(r.Path, watchLevel{0, r.Format})
		if r.Format == format.CRI {
			pods, _ := os.ReadDir(r.Path)
			for _, pod := range pods {
				if _, ok := ParsePodDir(pod.Name()); ok {
					f.watch(filepath.Join(r.Path, pod.Name()), watchLevel{1, r.Format})
				}
			}
		}
		places, err := findPlaces(r.Path, r.Format)
		if err != nil {
			f.problem("list", r.Path, err)
		}
		for i := range places {
			f.addPlace(&places[i])
		}
	}
	for dir, p := range f.places {
		f.stale[dir] = p
	}
	f.Refresh()
	f.forgetMissing()
	for _, a := range f.attempts {
		f.enqueue(a)
	}
}

// findBelow looks at a name that has appeared in a root or a pod directory.
func (f *Follower) findBelow(path string, parent watchLevel) {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() {
		return
	}
	name := filepath.Base(path)
	switch {
	case parent.format == format.Docker:
		f.addPlace(&place{dir: path, container: dockerContainer(path, name), format: parent.format})
	case parent.depth == 1:
		pod, ok := ParsePodDir(filepath.Base(filepath.Dir(path)))
		if ok {
			pod.Container = name
			f.addPlace(&place{dir: path, container: pod, format: parent.format})
		}
	default:
		if _, ok := ParsePodDir(name); !ok {
			return
		}
		// The watch comes first, so that nothing can appear unseen behind the listing.
		f.watch(path, watchLevel{1, parent.format})
		entries, _ := os.ReadDir(path)
		for _, e := range entries {
			f.findBelow(filepath.Join(path, e.Name()), watchLevel{1, parent.format})
		}
	}
}

func (f *Follower) addPlace(p *place) {
	known := f.places[p.dir]
	if known == nil {
		known = p
		f.places[p.dir] = known
	}
	f.watch(p.dir, watchLevel{2, p.format})
	f.stale[p.dir] = known
}

func (f *Follower) watch(dir string, level watchLevel) {
	err := f.watcher.Add(dir) // again is harmless, and renews the watch of a directory that was replaced
	switch {
	case err == nil:
		f.watched[dir] = level
		f.solved("watch", dir)
	case errors.Is(err, os.ErrNotExist):
		delete(f.watched, dir)
		f.watchFails = f.watchFails || level.depth == 0
	default:
		f.watchFails = true
		f.problem("watch", dir, err)
	}
}

// unwatch forgets a place whose directory is gone.
func (f *Follower) unwatch(dir string) {
	delete(f.places, dir)
	delete(f.stale, dir)
	delete(f.watched, dir)
	// inotify has dropped the watch with the directory, or drops it now.
	_ = f.watcher.Remove(dir)
}
