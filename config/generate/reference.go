package main

import (
	"fmt"
	"go/ast"
	"strings"
)

// output is the file that is written, below the module's directory.
const output = "docs/reference.md"

// A row is one key with its path from the top of its file.
type row struct {
	path string
	kind string
	field
}

const head = "# Configuration reference\n\n" +
	"Every key, generated from the code by `make generate` (a test holds that it is current and that the defaults are the program's).\n" +
	"[configuration.md](configuration.md) explains how files are read, what reloads, and the flags; `braid check FILE` checks a file.\n\n" +
	"A **size** is bytes, or a whole number with `KiB`, `MiB`, `GiB` or `TiB`; a **duration** is `500ms`, `30s`, `5m`, `24h` or `15d`. `[]` in a path\n" +
	"stands for the entries of a list. A **listener** is `host:port` or a mapping ([below](#a-listener)).\n"

// sections are the parts of the reference, each from one struct.
var sections = []struct{ title, about, pkg, name string }{
	{"agent.yaml", "`braid agent` and `braid-agent` read it.", "config", "Agent"},
	{"aggregator.yaml", "`braid aggregator` reads it.", "config", "Aggregator"},
	{"A sampling rule", "An entry of `sampling.keep`; [sampling.md](sampling.md) says when each type holds.", "config", "SamplingRule"},
	{"A listener", "`receivers.http`, `receivers.grpc` and `web.listen`. A plain `host:port` is its `address`. [security.md](security.md) says what the rest is for.", "listen", "Config"},
}

func reference(root string) (string, error) {
	all, err := read(root)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(head)
	for _, s := range sections {
		rows := all.rows(s.pkg, s.name, "")
		if len(rows) == 0 {
			return "", fmt.Errorf("no struct %s.%s has a key", s.pkg, s.name)
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| key | type | default | meaning |\n|---|---|---|---|\n", s.title, s.about)
		for _, r := range rows {
			if r.meaning == "" && r.initial == "" {
				return "", fmt.Errorf("the field of key %s of %s has no comment that says what it means", r.path, s.title)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.path, r.kind, escape(r.initial), escape(r.meaning))
		}
	}
	return b.String(), nil
}

func escape(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(text)
}

// rows returns the keys of a struct and, behind each that is a struct or a list of them, the keys below it.
func (all packages) rows(pkg, name, path string) (rows []row) {
	for _, f := range all[pkg][name] {
		r := row{path: path + f.key, field: f}
		kind, below := all.kindOf(pkg, f.kind)
		r.kind = kind
		rows = append(rows, r)
		switch {
		case below == "":
		case strings.HasPrefix(kind, "list"):
			rows = append(rows, all.rows(pkg, below, r.path+"[].")...)
		default:
			rows = append(rows, all.rows(pkg, below, r.path+".")...)
		}
	}
	return rows
}

// kindOf returns a type in a user's words, and the struct whose keys follow, if there is one.
func (all packages) kindOf(pkg string, e ast.Expr) (kind, below string) {
	switch e := e.(type) {
	case *ast.StarExpr:
		return all.kindOf(pkg, e.X)
	case *ast.ArrayType:
		kind, below = all.kindOf(pkg, e.Elt)
		if kind == "mapping" {
			return "list of mappings", below
		}
		return "list: " + kind, below
	case *ast.MapType:
		return "mapping of texts", ""
	case *ast.SelectorExpr:
		if e.Sel.Name == "Config" {
			return "[listener](#a-listener)", ""
		}
		return "Prometheus'", "" // a yaml.Node, read by its code
	case *ast.Ident:
		if e.Name == "SamplingRule" {
			return "[rule](#a-sampling-rule)", ""
		}
		if _, ok := all[pkg][e.Name]; ok {
			return "mapping", e.Name
		}
		return plain[e.Name], ""
	}
	panic(fmt.Sprintf("BUG: no name for the type %T", e))
}

// plain are the types without keys.
var plain = map[string]string{
	"string": "text", "bool": "true, false", "int": "whole number", "float64": "number", "uint16": "text",
	"Size": "size", "Duration": "duration",
}
