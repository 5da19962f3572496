package elasticsearch

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/braidhq/braid/disk"
)

const (
	stateName    = "es-state"
	stateVersion = 1
	// reserve is how far ahead of the records being sent the persisted mark is put, in receive time: it is written
	// once for each second of data and not for each bulk. Records within it cost a look-up after a restart.
	reserve = int64(time.Second)
	// maxEpochs bounds the history of a data stream. Without the older ones more indices are asked.
	maxEpochs = 128
)

// A stateFile is what the exporter remembers over restarts. The file is written before the first bulk it speaks of.
type stateFile struct {
	fs   disk.FS
	name string

	mu      sync.Mutex
	content stateContent
}

type stateContent struct {
	// ID marks our requests in the cluster's task list (X-Opaque-Id), so that the next process finds this one's.
	ID      string                  `json:"id"`
	Streams map[string]*streamState `json:"streams"`
}

// A streamState is what is known of one data stream.
type streamState struct {
	// SentUpTo: records received later have never been sent. -1 if nothing has.
	SentUpTo int64 `json:"sent_up_to"`
	// Epochs: which write index we knew of since when, oldest first.
	Epochs []epoch `json:"epochs"`
}

// An epoch says that records received after After were first sent when Index was the write index or had been already:
// they cannot lie in an older index.
type epoch struct {
	Index string `json:"index"`
	After int64  `json:"after"`
}

func openState(fs disk.FS, dir string) (*stateFile, error) {
	if err := fs.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("cannot make %s: %w", dir, err)
	}
	s := &stateFile{fs: fs, name: filepath.Join(dir, stateName)}
	_, payload, err := disk.ReadVersioned(fs, s.name, stateName, stateVersion)
	switch {
	case disk.IsNotExist(err):
		var id [8]byte
		if _, err := rand.Read(id[:]); err != nil {
			return nil, fmt.Errorf("cannot draw an id: %w", err)
		}
		s.content.ID = hex.EncodeToString(id[:])
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(payload, &s.content); err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", s.name, err)
		}
	}
	if s.content.Streams == nil {
		s.content.Streams = map[string]*streamState{}
	}
	return s, nil
}

// opaqueID marks the bulk requests to stream.
func (s *stateFile) opaqueID(stream string) string { return "braid-" + s.content.ID + "-" + stream }

func (s *stateFile) stream(name string) *streamState {
	st := s.content.Streams[name]
	if st == nil {
		st = &streamState{SentUpTo: -1}
		s.content.Streams[name] = st
	}
	return st
}

// sentUpTo returns the receive time after which nothing has been sent to stream.
func (s *stateFile) sentUpTo(stream string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stream(stream).SentUpTo
}

// willSend makes durable that records received up to received may have been sent to stream from now on, the first
// time with its write index.
func (s *stateFile) willSend(stream string, received int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stream(stream)
	if received <= st.SentUpTo {
		return nil
	}
	before := st.SentUpTo
	st.SentUpTo = received + reserve
	if err := s.save(); err != nil {
		st.SentUpTo = before
		return err
	}
	return nil
}

// learn makes durable that index is the write index of stream now.
func (s *stateFile) learn(stream, index string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stream(stream)
	if n := len(st.Epochs); n > 0 && st.Epochs[n-1].Index == index {
		return nil
	}
	before := st.Epochs
	st.Epochs = append(before[:len(before):len(before)], epoch{index, st.SentUpTo})
	if over := len(st.Epochs) - maxEpochs; over > 0 {
		st.Epochs = st.Epochs[over:]
	}
	if err := s.save(); err != nil {
		st.Epochs = before
		return err
	}
	return nil
}

// candidates returns those of indices (the backing indices of stream, oldest first) in which a record received at
// received may lie.
func (s *stateFile) candidates(stream string, indices []string, received int64) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	epochs := s.stream(stream).Epochs
	for i := len(epochs) - 1; i >= 0; i-- {
		if epochs[i].After >= received {
			continue
		}
		for j := range indices {
			if indices[j] == epochs[i].Index {
				return indices[max(0, j-1):] // one more: a node that lags behind may still have written to the older one
			}
		}
		return indices // retention took that index away, or somebody the data stream
	}
	return indices
}

func (s *stateFile) save() error {
	payload, err := json.Marshal(&s.content)
	if err != nil {
		panic("BUG: the state does not marshal: " + err.Error())
	}
	disk.Point("es.state.before")
	if err := disk.WriteVersioned(s.fs, s.name, stateName, stateVersion, payload); err != nil {
		return err
	}
	disk.Point("es.state.after")
	return nil
}
