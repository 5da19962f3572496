package tail

import (
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/telemetry"
)

// streams is the number of telemetry's streams, the unknown one of malformed lines included.
const streams = 3

// A chainFile is one file of an attempt, under whatever names.
type chainFile struct {
	File      // as last sighted
	seq   int // number in the chain: format.Mark.File
	id    telemetry.FileID
	hasID bool

	// The content: src is nil once it is done or gone. While it is held its inode cannot be reused.
	src    *os.File
	held   fs.FileInfo // of src when it was opened
	gz     *gzipSource // reads src if that is compressed
	gzPath string      // another, compressed copy of the same content, if one was sighted

	known      int64 // the largest uncompressed size seen
	torn       int64 // if > 0, the file ends here with a line that lost its newline
	cuts       []format.Cut
	acked      [streams]int64 // highest position known to be safe, by stream
	sent       [streams]int64 // highest position emitted
	listed     bool           // it was in the last listing
	unlinked   bool           // no name leads to src
	gapBefore  bool           // something may have been written before this file that nobody can read;
	gapCounted bool           // that was counted
	lost       bool           // dropped: bytes from lostFrom on are counted as lost
	lostFrom   int64
	keys       []sightKey
}

// A sightKey recognises a file that is done, and so no longer held, without reading it again.
type sightKey struct {
	ino     uint64
	size    int64
	modTime int64
}

func keyOf(info fs.FileInfo) sightKey {
	return sightKey{inode(info), info.Size(), info.ModTime().UnixNano()}
}

func (c *chainFile) attach(src *os.File, info fs.FileInfo, kind Kind) {
	c.src, c.held, c.gz = src, info, nil
	if kind == Compressed {
		c.gz = &gzipSource{file: src}
		c.known = max(c.known, uncompressedSize(src, info.Size()))
		return
	}
	c.known = max(c.known, info.Size())
}

func (c *chainFile) readAt(p []byte, off int64) (int, error) {
	if c.gz != nil {
		return c.gz.readAt(p, off)
	}
	return c.src.ReadAt(p, off)
}

// An Attempt is one attempt of a container, as it is being followed.
type Attempt struct {
	Container
	Resource *telemetry.Resource

	format  format.Format
	chain   []*chainFile // by seq, ascending
	nextSeq int
	dec     *format.Decoder
	at      format.Mark   // where to read on
	saved   format.Resume // everything before it is safe
	over    bool          // a later attempt has begun to write
	queued  bool          // in Follower.queue
	touched bool          // in Follower.touched
	wantCut bool          // in Follower.cutting
	restored,
	sighted bool // came from the state file; was found on disk since

	openEnd   [streams]format.Mark // the end of each stream's open line when it was last looked at,
	openSince [streams]time.Time   // and since when it is there
	long      longLine
}

// longLine is the search for the newline of a physical line that fits no chunk.
type longLine struct {
	start   format.Mark
	scanned int64 // no newline before here
}

func (a *Attempt) file(seq int) *chainFile {
	for _, c := range a.chain {
		if c.seq == seq {
			return c
		}
	}
	return nil
}

// current returns the file to read next, moving on over numbers that no file has any more; nil if there is none.
func (a *Attempt) current() *chainFile {
	for _, c := range a.chain {
		if c.seq < a.at.File {
			continue
		}
		if c.seq > a.at.File {
			a.moveTo(c.seq)
		}
		return c
	}
	return nil
}

func (a *Attempt) moveTo(seq int) {
	a.at = format.Mark{File: seq}
	a.dec.Feed(nil, a.at, nil)
}

// after returns the file that follows c in the chain, nil if c is the newest.
func (a *Attempt) after(c *chainFile) *chainFile {
	for _, d := range a.chain {
		if d.seq > c.seq {
			return d
		}
	}
	return nil
}

func (a *Attempt) byID(id telemetry.FileID) *chainFile {
	for _, c := range a.chain {
		if c.hasID && c.id == id {
			return c
		}
	}
	return nil
}

// done reports that all of c is safe.
func (a *Attempt) done(c *chainFile) bool { return c.seq < a.saved.File }

func (a *Attempt) append(c *chainFile) {
	c.seq = a.nextSeq
	a.nextSeq++
	a.chain = append(a.chain, c)
}

// rewind goes back to what is safe.
func (a *Attempt) rewind() {
	a.at = a.saved.Mark
	a.dec.Reset(a.saved)
	a.long = longLine{}
	for _, c := range a.chain {
		c.sent = c.acked
	}
}

// advance makes everything that was emitted safe.
func (a *Attempt) advance() {
	a.saved = a.dec.Resume()
	for _, c := range a.chain {
		c.acked = c.sent
		c.cuts = slices.DeleteFunc(c.cuts, func(cut format.Cut) bool { return !a.saved.Before(cut.End) })
	}
}

func resourceOf(c Container, cluster, node string) *telemetry.Resource {
	r := &telemetry.Resource{
		Cluster: cluster, Node: node,
		Namespace: c.Namespace, Pod: c.Pod, PodUID: c.PodUID, Container: c.Container, ContainerID: c.ContainerID,
		Restart: c.Restart,
		// Semantic conventions for Kubernetes: the workload's name comes before the container's, but a path does not tell it.
		Service: c.Container, ServiceNamespace: c.Namespace,
	}
	if c.Pod != "" {
		r.ServiceInstance = c.Namespace + "." + c.Pod + "." + c.Container
	}
	return r
}
