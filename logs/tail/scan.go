package tail

import (
	"cmp"
	"errors"
	"os"
	"slices"

	"github.com/braidhq/braid/logs/format"
)

// stableTries bounds how often a directory is listed until two listings agree: while names move, one listing may show
// a file under two names or under none, and the order of the chain must not be built on that.
const stableTries = 10

// A sighting is one listed name and the content behind it.
type sighting struct {
	File
	info    os.FileInfo
	attempt *Attempt
	known   *chainFile // nil: not seen before
	src     *os.File   // opened for this sighting, nil if that was not needed
	fresh   *chainFile // made of this sighting if it is not known
}

// scan brings the chains of one directory up to date.
func (f *Follower) scan(p *place) {
	for try := 1; ; try++ {
		files, err := listPlace(*p)
		if err != nil {
			f.problem("list", p.dir, err)
		} else {
			f.solved("list", p.dir)
		}
		complete := err == nil
		sights := make([]sighting, 0, len(files))
		moved := false
		for i := range files {
			s, err := f.sight(&files[i], sights)
			switch {
			case err == nil:
				sights = append(sights, s)
			case errors.Is(err, os.ErrNotExist):
				moved = true
			default:
				complete = false
				f.problem("open", files[i].Path, err)
			}
		}
		again, _ := listPlace(*p)
		if !moved && sameListing(files, again) || try == stableTries {
			if complete {
				f.merge(p, sights)
			} else {
				f.mergeFound(sights)
			}
			return
		}
		for i := range sights {
			if s := &sights[i]; s.src != nil {
				s.src.Close()
			}
		}
	}
}

func sameListing(a, b []File) bool {
	return slices.EqualFunc(a, b, func(x, y File) bool { return x.Path == y.Path && os.SameFile(x.info, y.info) })
}

// sight finds out which file of its chain a listed name leads to, if any. The error is ErrNotExist if the name leads
// nowhere or elsewhere by now.
func (f *Follower) sight(file *File, before []sighting) (sighting, error) {
	a := f.attempt(file)
	s := sighting{File: *file, attempt: a, info: file.info}
	if s.known = a.recognise(file.info); s.known != nil {
		return s, nil
	}
	src, err := os.Open(file.Path)
	if err != nil {
		return s, err
	}
	f.solved("open", file.Path)
	if s.info, err = src.Stat(); err != nil || !os.SameFile(s.info, file.info) {
		src.Close()
		return s, os.ErrNotExist
	}
	s.src, s.Size, s.ModTime = src, s.info.Size(), s.info.ModTime()
	s.fresh = &chainFile{File: s.File}
	s.fresh.attach(src, s.info, s.Kind)
	if err := f.identify(a, s.fresh); err != nil {
		f.problem("read", file.Path, err)
	}
	s.UnixNano = s.fresh.UnixNano
	if s.fresh.hasID {
		f.identifyHeld(a)
		s.known = a.byID(s.fresh.id)
		for i := range before {
			if b := &before[i]; s.known == nil && b.fresh != nil && b.fresh.hasID && b.fresh.id == s.fresh.id && b.attempt == a {
				s.known = b.fresh
			}
		}
	}
	return s, nil
}

// recognise finds the file of the chain that info is of, without reading it.
func (a *Attempt) recognise(info os.FileInfo) *chainFile {
	for _, c := range a.chain {
		if c.held != nil && os.SameFile(c.held, info) {
			return c
		}
	}
	key := keyOf(info)
	for _, c := range a.chain {
		if slices.Contains(c.keys, key) {
			return c
		}
	}
	return nil
}

// attempt returns the attempt that a listed file belongs to.
func (f *Follower) attempt(file *File) *Attempt {
	key := keyOfContainer(file.Container)
	a := f.attempts[key]
	if a == nil {
		a = f.newAttempt(file.Container, file.format)
	}
	return a
}

func (f *Follower) newAttempt(c Container, form format.Format) *Attempt {
	a := &Attempt{
		Container: c, format: form, Resource: resourceOf(c, f.o.Cluster, f.o.Node),
		dec: format.NewDecoder(form, f.o.MaxLineBytes, &f.spares),
	}
	f.attempts[keyOfContainer(c)] = a
	return a
}

// merge takes a listing of a whole directory over into the chains.
func (f *Follower) merge(p *place, sights []sighting) {
	var here []*Attempt
	for _, a := range f.attempts {
		if a.Dir == p.container.Dir && (p.format == format.Docker || a.Container.Container == p.container.Container) {
			here = append(here, a)
			for _, c := range a.chain {
				c.listed = false
			}
		}
	}
	f.mergeFound(sights)
	slices.SortFunc(here, func(a, b *Attempt) int { return cmp.Compare(a.Restart, b.Restart) })
	written := false
	for _, a := range slices.Backward(here) {
		a.over = written
		written = written || a.hasContent()
		f.lookForMissing(a)
		f.forget(a)
		f.enqueue(a)
	}
	if len(sights) == 0 {
		if _, err := os.Lstat(p.dir); errors.Is(err, os.ErrNotExist) {
			f.unwatch(p.dir)
		}
	}
}

func (a *Attempt) hasContent() bool {
	return slices.ContainsFunc(a.chain, func(c *chainFile) bool { return c.hasID || c.known > 0 })
}

// mergeFound takes over what was found, without a conclusion from what was not.
func (f *Follower) mergeFound(sights []sighting) {
	fresh := map[*Attempt][]*sighting{}
	for i := range sights {
		s := &sights[i]
		s.attempt.sighted = true
		if s.known == nil {
			fresh[s.attempt] = append(fresh[s.attempt], s)
		}
	}
	for a, list := range fresh {
		slices.SortFunc(list, func(x, y *sighting) int { return compareAge(&x.File, &y.File) })
		newest := a.newest()
		for i, s := range list {
			if i == 0 && newest != nil && !f.reachable(newest, sights) {
				s.fresh.gapBefore = true
			}
			a.append(s.fresh)
			f.o.Metrics.OpenFiles.Inc()
			s.known, s.src = s.fresh, nil
			f.stateDirty = true
		}
	}
	for i := range sights {
		f.resight(&sights[i])
	}
}

func (a *Attempt) newest() *chainFile {
	if len(a.chain) == 0 {
		return nil
	}
	return a.chain[len(a.chain)-1]
}

// reachable reports that the newest known file is still there under some name, so that what follows it in the listing
// follows it in truth: kubelet deletes the oldest first.
func (f *Follower) reachable(c *chainFile, sights []sighting) bool {
	for i := range sights {
		if sights[i].known == c {
			return true
		}
	}
	if c.src == nil {
		return false
	}
	info, err := c.src.Stat()
	return err == nil && linkCount(info) > 0
}

// resight notes under which name and in which state a known file was found.
func (f *Follower) resight(s *sighting) {
	c, a := s.known, s.attempt
	c.listed = true
	held := c.held != nil && os.SameFile(c.held, s.info)
	if held || c.src == nil {
		c.File = s.File
	} else if s.Kind == Compressed {
		c.gzPath = s.Path
	}
	if c.Kind == Live {
		f.byPath[c.Path] = a
	}
	if s.Kind != Compressed {
		f.checkLateWrite(a, c, s)
		if s.Size > c.known {
			c.known = s.Size
			f.stateDirty = true // what is known to exist is counted if it is gone after a downtime
		}
	}
	if !held {
		if !slices.Contains(c.keys, keyOf(s.info)) {
			c.keys = append(c.keys, keyOf(s.info))
		}
		if s.src != nil && c.src == nil && !a.done(c) && !c.lost {
			c.attach(s.src, s.info, s.Kind)
			f.o.Metrics.OpenFiles.Inc()
			s.src = nil
		}
	}
	if s.src != nil {
		s.src.Close()
		s.src = nil
	}
}
