package listen

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A tokenSet are the static tokens of a listener. Only their hashes are kept.
type tokenSet []staticToken

type staticToken struct {
	name string
	hash [sha256.Size]byte
}

// find returns whose token it is. It takes as long for a wrong token as for a right one.
func (s tokenSet) find(token string) (name string, ok bool) {
	hash := sha256.Sum256([]byte(token))
	for i := range s {
		if subtle.ConstantTimeCompare(hash[:], s[i].hash[:]) == 1 {
			name, ok = s[i].name, true
		}
	}
	return name, ok
}

// readTokens reads a file of tokens, or every such file in a directory. A directory's first text lists its names.
func readTokens(path string) func() ([][]byte, error) {
	return func() ([][]byte, error) {
		names, texts := []string{filepath.Base(path)}, [][]byte(nil)
		entries, err := os.ReadDir(path)
		dir := err == nil
		if dir {
			names = nil
			for _, e := range entries {
				// A mounted Secret's files are links into a hidden directory.
				if info, err := os.Stat(filepath.Join(path, e.Name())); !strings.HasPrefix(e.Name(), ".") && err == nil && info.Mode().IsRegular() {
					names = append(names, e.Name())
				}
			}
		}
		for _, name := range names {
			file := path
			if dir {
				file = filepath.Join(path, name)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("cannot read bearer tokens: %w", err)
			}
			texts = append(texts, text)
		}
		return append([][]byte{[]byte(strings.Join(names, "\n"))}, texts...), nil
	}
}

var errNoTokens = errors.New("there is no token in it")

// parseTokens makes a set of what readTokens has read. A file without a token is taken for one that is being written.
func parseTokens(path string) func([][]byte) (tokenSet, error) {
	return func(texts [][]byte) (tokenSet, error) {
		set := tokenSet{}
		names := strings.Split(string(texts[0]), "\n")
		for i, text := range texts[1:] {
			before := len(set)
			for line := range bytes.Lines(text) {
				if token := bytes.TrimSpace(line); len(token) > 0 {
					set = append(set, staticToken{names[i], sha256.Sum256(token)})
				}
			}
			if len(set) == before {
				return nil, fmt.Errorf("cannot use the bearer tokens of %s: %s: %w", path, names[i], errNoTokens)
			}
		}
		return set, nil
	}
}

func (l *Listener) openTokens(path string) error {
	l.tokens = &watched[tokenSet]{
		read: readTokens(path), parse: parseTokens(path), now: l.now,
		report: func(_ tokenSet, err error) { l.reloaded(path, err) },
	}
	if err := l.tokens.open(); err != nil {
		return err
	}
	if len(l.tokens.value) == 0 {
		return fmt.Errorf("cannot use the bearer tokens of %s: %w", path, errNoTokens)
	}
	return nil
}
