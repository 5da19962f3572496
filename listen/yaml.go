package listen

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fields are a mapping's known keys: a pointer that is decoded into, or a func that reads the value itself.
type fields map[string]any

// A reader reads nested mappings and keeps every error.
type reader struct{ problems []string }

func (r *reader) add(n *yaml.Node, format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf("line %d: ", n.Line)+fmt.Sprintf(format, args...))
}

// err is of the one type after which yaml goes on to the rest of a document.
func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	return &yaml.TypeError{Errors: r.problems}
}

func (r *reader) mapping(n *yaml.Node, what string, known fields) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.add(n, "%s is a mapping with %s", what, names(known))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field, ok := known[key.Value]
		switch {
		case !ok:
			r.add(key, "unknown key %q of %s (%s)", key.Value, what, names(known))
			continue
		case seen[key.Value]:
			r.add(key, "key %q is there twice", key.Value)
		}
		seen[key.Value] = true
		if read, ok := field.(func(*yaml.Node)); ok {
			read(value)
			continue
		}
		r.decode(value, field)
	}
}

func (r *reader) decode(value *yaml.Node, into any) {
	err := value.Decode(into)
	var typeErr *yaml.TypeError
	switch {
	case errors.As(err, &typeErr):
		r.problems = append(r.problems, typeErr.Errors...)
	case err != nil:
		r.add(value, "%v", err)
	}
}

func names(known fields) string {
	return strings.Join(slices.Sorted(maps.Keys(known)), ", ")
}
