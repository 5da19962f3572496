package ledger

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrUnfinished says that a ledger has no last entry, or does not add up to it: its service died, or it was cut.
var ErrUnfinished = errors.New("the ledger has no end, or not the end it speaks of")

// Read calls yield with each entry of the ledger file path but the last, and checks that they add up to the last.
// Names of a Metrics entry is always set: an entry that left it out has that of the one before.
func Read(path string, yield func(Entry)) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("cannot open the ledger: %w", err)
	}
	defer f.Close()
	dec := json.NewDecoder(bufio.NewReaderSize(f, 256<<10))
	var totals Totals
	var names map[string]int
	for {
		var e Entry
		err := dec.Decode(&e)
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s: %w", path, ErrUnfinished)
		}
		if err != nil {
			return fmt.Errorf("cannot read the ledger %s: %w", path, err)
		}
		switch e.Kind {
		case Log:
			totals.Logs++
		case Span:
			totals.Spans++
		case Metrics:
			totals.Samples += uint64(e.Samples)
			if e.Names == nil {
				e.Names = names
			}
			names = e.Names
		case End:
			if e.Totals == nil || *e.Totals != totals {
				return fmt.Errorf("%s: %w", path, ErrUnfinished)
			}
			return nil
		}
		yield(e)
	}
}
