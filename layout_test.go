package braid_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/braidhq/braid/"

// The rules of the house. They are a statement of policy: a change here is a change of the architecture.

// leaves may be imported by every room.
var leaves = []string{"telemetry", "wire", "config", "listen", "disk"}

// leafImports says which leaves a leaf may itself import.
var leafImports = map[string][]string{
	"telemetry": nil,
	"disk":      nil,
	"listen":    nil,
	"wire":      {"telemetry"},
	"config":    {"listen"},
}

// rooms import leaves and never each other.
var rooms = []string{
	"logs", "scrape", "receivers", "pipeline", "traces", "correlate", "exporters", "store", "query", "kube", "diagnose", "demo",
}

// homes names, for third-party packages by path prefix, the only places whose product code may import them directly.
var homes = map[string][]string{
	"github.com/VictoriaMetrics/easyproto":       {"wire"},
	"github.com/klauspost/compress":              {"wire/compression", "logs/tail", "demo"},
	"google.golang.org/grpc":                     {"receivers/otlp", "exporters/otlp", "cmd"},
	"github.com/fsnotify":                        {"logs/tail", "logs/tree"},
	"github.com/cockroachdb":                     {"store"},
	"github.com/prometheus/prometheus/tsdb":      {"store"},
	"github.com/prometheus/prometheus/promql":    {"query"},
	"github.com/prometheus/prometheus/scrape":    {"scrape"},
	"github.com/prometheus/prometheus/discovery": {"scrape", "cmd"},
	"github.com/prometheus/prometheus/config":    {"config", "scrape", "exporters/remotewrite"},
	"github.com/elastic":                         {"exporters/elasticsearch"},
	"github.com/spf13":                           {"cmd"},
	"k8s.io":                                     {"kube"},
	"go.opentelemetry.io/otel":                   {"demo"},
	"go.opentelemetry.io/contrib":                {"demo"},
	"go.opentelemetry.io/collector/pdata":        {"receivers/otlp"},
	"go.yaml.in/yaml":                            {"config", "listen"},
	"github.com/prometheus/prometheus/prompb":    {},
	"github.com/prometheus/client_golang":        nil, // anywhere
	"github.com/prometheus/client_model":         {"traces", "cmd"},
	"github.com/prometheus/common":               nil,
	"github.com/prometheus/prometheus/model":     nil,
	"github.com/prometheus/prometheus/storage":   {"scrape", "store", "query"},
	"github.com/prometheus/prometheus/util":      {"scrape", "store", "query"},
	"golang.org/x/sys":                           nil,
	"github.com/valyala/fastjson":                {"logs/fields", "exporters/elasticsearch"},
	"google.golang.org/protobuf":                 {"receivers/otlp", "scrape"},
	"google.golang.org/genproto/googleapis/rpc":  {"receivers/otlp"},
}

// The agent's weight is its own: none of these packages may be linked into braid-agent. (Prometheus' discovery package
// brings leaves of client-go, tsdb and promql; the API client, the database and the engine are what weighs.)
var notInAgent = []string{
	"github.com/prometheus/prometheus/tsdb",
	"github.com/prometheus/prometheus/promql",
	"github.com/cockroachdb/pebble/v2",
	"k8s.io/client-go/kubernetes",
	"github.com/elastic/go-elasticsearch/v8",
	module + "store",
	module + "query",
	module + "kube",
	module + "demo",
}

// exceptions from the house numbers: at most five, each with its reason.
var exceptions = map[string]string{}

const (
	maxFunctionLines = 70
	maxFileLines     = 500
)

type sourceFile struct {
	path string // slash-separated, relative to the module
	test bool
	ast  *ast.File
	fset *token.FileSet
}

func (f sourceFile) dir() string { return filepath.ToSlash(filepath.Dir(f.path)) }

func room(path string) string {
	first, _, _ := strings.Cut(path, "/")
	return first
}

func sources(t *testing.T) []sourceFile {
	t.Helper()
	var files []sourceFile
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin" || isModule(path)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		files = append(files, sourceFile{filepath.ToSlash(path), strings.HasSuffix(path, "_test.go"), parsed, fset})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("found %d source files: not looking at the whole tree", len(files))
	}
	return files
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// isTestHelp says that a package exists for tests: its name ends in "test", or it is the testbed.
func isTestHelp(dir string) bool {
	return strings.HasSuffix(dir, "test") || room(dir) == "testbed"
}

func TestRoomsImportLeavesAndNeverEachOther(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || isTestHelp(f.dir()) || room(f.path) == "cmd" {
			continue
		}
		from := room(f.path)
		for _, spec := range f.ast.Imports {
			imported, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module)
			if !ours || room(imported) == from {
				continue
			}
			allowed := leaves
			if own, isLeaf := leafImports[from]; isLeaf {
				allowed = own
			}
			if !slices.Contains(allowed, room(imported)) {
				t.Errorf("%s: %s may not import %s", f.path, from, imported)
			}
		}
	}
}

func TestEveryDirectoryIsAKnownRoom(t *testing.T) {
	known := slices.Concat(leaves, rooms, []string{"cmd", "testbed", "bench", "dashboards", "deploy", "layout_test.go", "doc.go"})
	for _, f := range sources(t) {
		if !slices.Contains(known, room(f.path)) {
			t.Errorf("%s lies in no room that the architecture knows", f.path)
		}
	}
}

func TestThirdPartyPackagesStayInTheirHomes(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || isTestHelp(f.dir()) {
			continue
		}
		for _, spec := range f.ast.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			if !strings.Contains(strings.SplitN(path, "/", 2)[0], ".") || strings.HasPrefix(path, module) {
				continue
			}
			home, known := homeOf(path)
			switch {
			case !known:
				t.Errorf("%s: %s has no home: add it to homes with a reason in an ADR, or do without it", f.path, path)
			case home != nil && !slices.ContainsFunc(home, func(h string) bool { return f.dir() == h || strings.HasPrefix(f.dir(), h+"/") }):
				t.Errorf("%s: %s may be imported from %v only", f.path, path, home)
			}
		}
	}
}

func homeOf(path string) (home []string, known bool) {
	longest := -1
	for prefix, places := range homes {
		if (path == prefix || strings.HasPrefix(path, prefix+"/")) && len(prefix) > longest {
			longest, home, known = len(prefix), places, true
		}
	}
	return home, known
}

func TestTelemetryImportsOnlyTheStandardLibraryAndPrometheusModel(t *testing.T) {
	for _, f := range sources(t) {
		if f.dir() != "telemetry" || f.test {
			continue
		}
		for _, spec := range f.ast.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			if strings.Contains(path, ".") && !strings.HasPrefix(path, "github.com/prometheus/prometheus/model/") && path != "github.com/prometheus/common/model" {
				t.Errorf("%s imports %s", f.path, path)
			}
		}
	}
}

func TestTheAgentCarriesNoStoreNoEngineAndNoKubernetesClient(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./cmd/braid-agent").Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := strings.Fields(string(out))
	if !slices.Contains(linked, module+"logs/tail") {
		t.Fatal("the list of packages lacks what the agent surely has")
	}
	for _, path := range notInAgent {
		if slices.Contains(linked, path) {
			t.Errorf("braid-agent links %s", path)
		}
	}
}

func TestHouseNumbers(t *testing.T) {
	if len(exceptions) > 5 {
		t.Errorf("%d exceptions from the house numbers, five at most", len(exceptions))
	}
	used := map[string]bool{}
	var sizes []int
	for _, f := range sources(t) {
		lines := f.fset.File(f.ast.Pos()).LineCount()
		if !f.test {
			sizes = append(sizes, lines)
		}
		if lines > maxFileLines {
			if exceptions[f.path] == "" {
				t.Errorf("%s has %d lines, %d at most", f.path, lines, maxFileLines)
			}
			used[f.path] = true
		}
		for _, decl := range f.ast.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			n := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1
			name := f.path + ":" + fn.Name.Name
			if n > maxFunctionLines {
				if exceptions[name] == "" {
					t.Errorf("%s has %d lines, %d at most", name, n, maxFunctionLines)
				}
				used[name] = true
			}
		}
	}
	for name := range exceptions {
		if !used[name] {
			t.Errorf("exception %s is not needed any more", name)
		}
	}
	slices.Sort(sizes)
	t.Logf("%d files of product code, median %d lines", len(sizes), sizes[len(sizes)/2])
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	documented, seen := map[string]bool{}, map[string]bool{}
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		seen[f.dir()] = true
		if f.ast.Doc != nil {
			documented[f.dir()] = true
		}
	}
	for dir := range seen {
		if !documented[dir] && dir != "." {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

// Every exported interface, with two or more of the types that implement it.
var interfaces = map[string][]string{
	"telemetry.Sink":     {"exporters/elasticsearch.Exporter", "exporters/otlp.Exporter", "store.Store"},
	"telemetry.Appender": {"pipeline.Queue", "exporters/otlp.Exporter", "exporters/remotewrite.Exporter"},
	"telemetry.Source":   {"logs.Source", "scrape.Source"},
	"pipeline.Observer":  {"correlate.LogCounts", "correlate.Index", "traces.RED", "traces.Graph"},
	"query.Access":       {"query.Everything", "kube.Reviewer"},
	"query.Logs":         {"store.Store", "exporters/elasticsearch.Reader"},
	"query.Traces":       {"store.Store", "exporters/elasticsearch.Reader"},
	"query.TraceSearch":  {"store.Store", "exporters/elasticsearch.Reader"},
	"disk.FS":            {"disk.osFS", "disk.Mem"},
	"disk.File":          {"disk.osFile", "disk.memFile"},
}

func TestEveryExportedInterfaceIsListedWithItsImplementations(t *testing.T) {
	types := map[string]bool{}
	found := map[string]bool{}
	for _, f := range sources(t) {
		if f.test || isTestHelp(f.dir()) {
			continue
		}
		for name, isInterface := range typesOf(f.ast) {
			types[f.dir()+"."+name] = true
			if isInterface && ast.IsExported(name) {
				found[f.dir()+"."+name] = true
			}
		}
	}
	for name := range found {
		if len(interfaces[name]) < 2 {
			t.Errorf("interface %s is not listed with two implementations", name)
		}
	}
	for name, implementations := range interfaces {
		if !found[name] {
			t.Errorf("interface %s is listed and not there", name)
		}
		for _, impl := range implementations {
			if !types[impl] {
				t.Errorf("%s, listed as an implementation of %s, is not there", impl, name)
			}
		}
	}
}

func typesOf(file *ast.File) map[string]bool {
	types := map[string]bool{}
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.TYPE {
			continue
		}
		for _, spec := range gen.Specs {
			if ts, ok := spec.(*ast.TypeSpec); ok {
				_, isInterface := ts.Type.(*ast.InterfaceType)
				types[ts.Name.Name] = isInterface
			}
		}
	}
	return types
}
