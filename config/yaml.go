package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Problem is one thing wrong with a configuration file.
type Problem struct {
	Line int // from 1; 0 if no line is to blame
	Text string
}

// Problems is every problem of one file, by line. It is the error of the Load functions.
type Problems struct {
	File string
	List []Problem
}

// Error puts one problem on a line: FILE:LINE: TEXT.
func (p *Problems) Error() string {
	lines := make([]string, len(p.List))
	for i, problem := range p.List {
		at := p.File
		if problem.Line > 0 {
			at += ":" + strconv.Itoa(problem.Line)
		}
		lines[i] = at + ": " + problem.Text
	}
	return strings.Join(lines, "\n")
}

func (p *Problems) add(line int, format string, args ...any) {
	p.List = append(p.List, Problem{line, fmt.Sprintf(format, args...)})
}

// addYAML adds what a YAML decoder says. Lines that it names are offset below the file's; a text that names none is
// put down to line fallback.
func (p *Problems) addYAML(err error, offset, fallback int) {
	var typeErr *yaml.TypeError
	texts := []string{err.Error()}
	if errors.As(err, &typeErr) {
		texts = typeErr.Errors
	}
	for _, text := range texts {
		text = strings.TrimPrefix(text, "yaml: ")
		text = strings.TrimPrefix(text, "unmarshal errors:\n  ")
		for one := range strings.SplitSeq(text, "\n") {
			p.addText(strings.TrimSpace(one), offset, fallback)
		}
	}
}

var lineText = regexp.MustCompile(`^line (\d+): (.*)$`)

func (p *Problems) addText(text string, offset, fallback int) {
	if m := lineText.FindStringSubmatch(text); m != nil {
		line, _ := strconv.Atoi(m[1])
		p.add(line+offset, "%s", m[2])
		return
	}
	p.add(fallback, "%s", text)
}

func (p *Problems) orNil() error {
	if len(p.List) == 0 {
		return nil
	}
	slices.SortStableFunc(p.List, func(a, b Problem) int { return a.Line - b.Line })
	return p
}

var envName = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand replaces ${NAME} in every scalar below n. Keys in foreign are left to their own reader.
func expand(n *yaml.Node, p *Problems) {
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "${") {
		n.Value = envName.ReplaceAllStringFunc(n.Value, func(ref string) string {
			name := ref[2 : len(ref)-1]
			value, ok := os.LookupEnv(name)
			if !ok {
				p.add(n.Line, "environment variable %s is not set", name)
			}
			return value
		})
		if n.Style == 0 {
			n.Tag = "" // resolve the type anew: port: ${PORT} is a number
		}
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && isForeign(n.Content[i-1].Value) {
			continue
		}
		expand(child, p)
	}
}

// isForeign says that a key's value is Prometheus' own configuration.
func isForeign(key string) bool {
	return key == "scrape_configs" || key == "global" || key == "remote_write"
}

// strict reports every mapping key below n that t has no field for.
func strict(n *yaml.Node, t reflect.Type, p *Problems) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[yaml.Node]() || reflect.PointerTo(t).Implements(reflect.TypeFor[yaml.Unmarshaler]()) {
		return // reads its own keys
	}
	switch {
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		fields := fieldsOf(t)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			field, ok := fields[key.Value]
			if !ok {
				p.add(key.Line, "unknown key %q (known here: %s)", key.Value, strings.Join(names(fields), ", "))
				continue
			}
			strict(n.Content[i+1], field, p)
		}
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for _, item := range n.Content {
			strict(item, t.Elem(), p)
		}
	}
}

func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name != "" && name != "-" {
			fields[name] = t.Field(i).Type
		}
	}
	return fields
}

func names(fields map[string]reflect.Type) []string {
	var list []string
	for name := range fields {
		list = append(list, name)
	}
	sort.Strings(list)
	return list
}

// parse reads text into into (a pointer to a struct that holds the defaults) and returns the document's root mapping.
func parse(file string, text []byte, into any) (*yaml.Node, *Problems) {
	p := &Problems{File: file}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		p.addYAML(err, 0, 1)
		return nil, p
	}
	if len(doc.Content) == 0 {
		return &yaml.Node{Kind: yaml.MappingNode}, p
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		p.add(root.Line, "a mapping of keys is expected here")
		return nil, p
	}
	expand(root, p)
	strict(root, reflect.TypeOf(into), p)
	if err := root.Decode(into); err != nil {
		p.addYAML(err, 0, 1)
	}
	return root, p
}

// lineOf returns the line of the key path below root, or the line of the nearest key that is there.
func lineOf(root *yaml.Node, path ...string) int {
	line := root.Line
	for _, name := range path {
		found := false
		for i := 0; root.Kind == yaml.MappingNode && i+1 < len(root.Content); i += 2 {
			if root.Content[i].Value == name {
				line, root, found = root.Content[i].Line, root.Content[i+1], true
				break
			}
		}
		if index, err := strconv.Atoi(name); !found && err == nil && root.Kind == yaml.SequenceNode && index < len(root.Content) {
			root, found = root.Content[index], true
			line = root.Line
		}
		if !found {
			break
		}
	}
	return line
}
