package logstest

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"github.com/braidhq/braid/telemetry"
)

// A Storm writes into many containers at random: lines of all lengths, split and interleaved, rotations, restarts,
// deleted pods. The same seed gives the same storm.
//
// It moves in rounds. Within a round no file is deleted that was not complete when the round began: a reader that has
// read everything before each round can read everything, however often it dies in it.
type Storm struct {
	node    *Node
	rng     *rand.Rand
	writers []*Writer
	turns   []turn
	pods    int
	line    int
}

// turn is what was done to a container in this round.
type turn struct {
	rotations int
	restarted bool
}

// NewStorm starts a storm in so many containers.
func NewStorm(n *Node, seed uint64, containers int) (*Storm, error) {
	s := &Storm{node: n, rng: rand.New(rand.NewPCG(seed, 1))}
	for range containers {
		w, err := s.newPod()
		if err != nil {
			return nil, err
		}
		s.writers = append(s.writers, w)
	}
	s.turns = make([]turn, containers)
	return s, nil
}

func (s *Storm) newPod() (*Writer, error) {
	s.pods++
	return s.node.Start(Container("storm", fmt.Sprintf("pod-%d", s.pods), fmt.Sprintf("uid-%d", s.pods), "main", 0))
}

// Round does so many steps and then ends every open line.
func (s *Storm) Round(steps int) error {
	clear(s.turns)
	if s.rng.IntN(3) == 0 {
		if err := s.replacePod(s.rng.IntN(len(s.writers))); err != nil {
			return err
		}
	}
	for range steps {
		if err := s.step(s.rng.IntN(len(s.writers))); err != nil {
			return err
		}
	}
	for _, w := range s.writers {
		if err := endLines(w); err != nil {
			return err
		}
	}
	return nil
}

// Close ends every writer.
func (s *Storm) Close() error {
	for _, w := range s.writers {
		if err := w.Close(); err != nil {
			return err
		}
	}
	return nil
}

func endLines(w *Writer) error {
	for stream := telemetry.Stdout; stream <= telemetry.Stderr; stream++ {
		if w.Open(stream) {
			if err := w.Piece(stream, []byte("end"), true); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Storm) replacePod(i int) error {
	old := s.writers[i]
	if err := old.Close(); err != nil {
		return err
	}
	if err := s.node.DeletePod(old.Container()); err != nil {
		return err
	}
	var err error
	s.writers[i], err = s.newPod()
	return err
}

func (s *Storm) step(i int) error {
	w, turn := s.writers[i], &s.turns[i]
	stream := telemetry.Stdout
	if s.rng.IntN(4) == 0 {
		stream = telemetry.Stderr
	}
	switch n := s.rng.IntN(100); {
	case n < 4 && turn.rotations < 3 && w.Size() > 0:
		turn.rotations++
		var late func() error
		if s.rng.IntN(2) == 0 {
			late = func() error { return w.Piece(stream, s.body(), s.rng.IntN(2) == 0) }
		}
		return w.Rotate(late)
	case n < 5 && !turn.restarted:
		turn.restarted = true
		if err := endLines(w); err != nil {
			return err
		}
		next, err := w.Restart()
		s.writers[i] = next
		turn.rotations = 0
		return err
	case n < 20:
		return w.Piece(stream, s.body(), false)
	case n < 23:
		return w.Line(stream, s.longBody())
	default:
		return w.Piece(stream, s.body(), true)
	}
}

// body returns a short text that occurs once.
func (s *Storm) body() []byte {
	s.line++
	switch s.rng.IntN(8) {
	case 0:
		return nil
	case 1:
		return fmt.Appendf(nil, `{"level":"info","msg":"line %d","trace_id":"%032x"}`, s.line, s.line)
	case 2:
		return fmt.Appendf(nil, "line %d \x00 \xff\xfe %c\x1b[31mred", s.line, rune(0x1F600+s.line%16))
	}
	return fmt.Appendf(nil, "line %d %s", s.line, bytes.Repeat([]byte("lorem "), s.rng.IntN(40)))
}

func (s *Storm) longBody() []byte {
	s.line++
	return append(fmt.Appendf(nil, "long %d ", s.line), bytes.Repeat([]byte("0123456789"), SplitAt/10+s.rng.IntN(6000))...)
}
