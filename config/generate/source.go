package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A field is one key of a struct.
type field struct {
	key     string
	kind    ast.Expr
	meaning string
	initial string // what holds without the key, or "required"
}

// packages are the structs of config and listen by package and name.
type packages map[string]map[string][]field

func read(root string) (packages, error) {
	all := packages{}
	for _, name := range []string{"config", "listen"} {
		files, err := filepath.Glob(filepath.Join(root, name, "*.go"))
		if err != nil {
			return nil, err
		}
		all[name] = map[string][]field{}
		var keys []string
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			if err != nil {
				return nil, fmt.Errorf("cannot read the structs: %w", err)
			}
			structsOf(file, name == "listen", all[name])
			keys = append(keys, keysOf(file)...)
		}
		if name == "listen" {
			if err := sameKeys(all[name], keys); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// structsOf adds the structs of a file. With untagged their keys follow from the fields' names: listen reads YAML by hand.
func structsOf(file *ast.File, untagged bool, into map[string][]field) {
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		s, ok := spec.Type.(*ast.StructType)
		if !ok {
			return true
		}
		for _, f := range s.Fields.List {
			for _, name := range f.Names {
				if one, ok := fieldOf(f, name.Name, untagged); ok {
					into[spec.Name.Name] = append(into[spec.Name.Name], one)
				}
			}
		}
		return false
	})
}

var closing = regexp.MustCompile(`^(.*?)(?:; |^)(?:default (.+)|(required.*))$`)

func fieldOf(f *ast.Field, name string, untagged bool) (field, bool) {
	key := ""
	if f.Tag != nil {
		tag, _ := strconv.Unquote(f.Tag.Value)
		key = reflect.StructTag(tag).Get("yaml")
	} else if untagged && ast.IsExported(name) {
		key = snake(name)
	}
	if key == "" || key == "-" {
		return field{}, false
	}
	text := f.Comment.Text()
	if text == "" {
		text = f.Doc.Text()
	}
	text = strings.TrimSuffix(strings.Join(strings.Fields(text), " "), ".")
	if rest, ok := strings.CutPrefix(text, name+" "); ok && untagged { // as Go's comments begin; a reader sees the key
		text = strings.TrimPrefix(strings.TrimPrefix(rest, "is "), "are ")
	}
	one := field{key: key, kind: f.Type, meaning: text}
	if m := closing.FindStringSubmatch(text); m != nil {
		one.meaning, one.initial = m[1], m[2]+m[3]
	}
	return one, true
}

var words = regexp.MustCompile(`([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])`)

func snake(name string) string {
	return strings.ToLower(words.ReplaceAllString(name, "${1}${3}_${2}${4}"))
}

// keysOf returns the keys that listen's reader takes: those of its literals of type fields.
func keysOf(file *ast.File) (keys []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		literal, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		if name, ok := literal.Type.(*ast.Ident); !ok || name.Name != "fields" {
			return true
		}
		for _, e := range literal.Elts {
			if pair, ok := e.(*ast.KeyValueExpr); ok {
				key, _ := strconv.Unquote(pair.Key.(*ast.BasicLit).Value)
				keys = append(keys, key)
			}
		}
		return true
	})
	return keys
}

// listenStructs are those of listen that a listener in YAML is made of.
var listenStructs = []string{"Config", "TLS", "Auth", "KubernetesAuth"}

func sameKeys(structs map[string][]field, keys []string) error {
	var named []string
	for _, name := range listenStructs {
		for _, f := range structs[name] {
			named = append(named, f.key)
		}
	}
	slices.Sort(named)
	slices.Sort(keys)
	if !slices.Equal(named, keys) {
		return fmt.Errorf("a listener's fields are called %v, and the keys that are read are %v", named, keys)
	}
	return nil
}
