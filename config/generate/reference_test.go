package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/braidhq/braid/config"
)

const root = "../.."

func TestReferenceIsCurrent(t *testing.T) {
	want, err := reference(root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, output))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the code says: make generate", output)
	}
}

// Every default in the reference is what the readers make of a file without the key, and none is kept secret.
func TestDefaultsAreTheProgramsOwn(t *testing.T) {
	agent, err := config.ParseAgent("a.yaml", []byte("data_dir: /x\naggregator: {url: http://a}\nlogs: [{path: /l}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	agent.Node = "" // this machine's name
	aggregator, err := config.ParseAggregator("a.yaml", []byte(`
data_dir: /x
receivers: {http: "127.0.0.1:1"}
sampling: {keep: [{name: a, type: always}]}
exporters:
- {name: a, store: {}}
- {name: b, elasticsearch: {urls: [http://a]}}
- {name: c, otlp: {url: http://a}}
`))
	if err != nil {
		t.Fatal(err)
	}
	all, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]bool{
		"data_dir": true, "aggregator.url": true, "logs[].path": true, "receivers.http": true, "exporters[].name": true,
		"exporters[].elasticsearch.urls": true, "exporters[].otlp.url": true, "sampling.keep": true,
	}
	for name, parsed := range map[string]any{"Agent": agent, "Aggregator": aggregator} {
		set := map[string]string{}
		values(reflect.ValueOf(parsed).Elem(), "", set)
		compared := 0
		for _, r := range all.rows("config", name, "") {
			got := set[r.path]
			if got == "" || given[r.path] {
				continue // applied where it is used; absent
			}
			compared++
			if got != r.initial {
				t.Errorf("%s: %s is %s without the key, and the reference says %q", name, r.path, got, r.initial)
			}
		}
		if compared < 6 {
			t.Errorf("%s: only %d defaults were compared", name, compared)
		}
	}
}

// values collects what is set in a parsed configuration, by path and as a user writes it.
func values(v reflect.Value, path string, into map[string]string) {
	switch {
	case v.IsZero():
		return
	case v.Type() == reflect.TypeFor[config.Size]():
		into[path] = strings.Replace(fmt.Sprintf("%dMiB", v.Int()>>20), "1024MiB", "1GiB", 1)
	case v.Type() == reflect.TypeFor[config.Duration]():
		into[path] = strings.Replace(model.Duration(time.Duration(v.Int())).String(), "1d", "24h", 1)
	case v.Kind() == reflect.Pointer:
		values(v.Elem(), path, into)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			values(v.Index(i), path+"[]", into)
		}
	case v.Kind() == reflect.Slice:
		into[path] = strings.Trim(fmt.Sprint(v.Interface()), "[]")
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if key := v.Type().Field(i).Tag.Get("yaml"); key != "" && key != "-" {
				values(v.Field(i), strings.TrimPrefix(path+"."+key, "."), into)
			}
		}
	default:
		into[path] = fmt.Sprint(v.Interface())
	}
}

func TestSnake(t *testing.T) {
	for name, want := range map[string]string{"ClientCAFile": "client_ca_file", "TLS": "tls", "MaxConnections": "max_connections", "MinVersion": "min_version"} {
		if got := snake(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestWhatAUserCouldNotReadIsAnError(t *testing.T) {
	for name, test := range map[string]struct{ config, listen, says string }{
		"no comment":     {"type Agent struct {\n\tNode string `yaml:\"node\"`\n}", "", "node"},
		"no struct":      {"", "", "config.Agent"},
		"a key not read": {"", "type Config struct {\n\tAddress string // where\n}", "address"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for pkg, text := range map[string]string{"config": test.config, "listen": test.listen} {
				if err := os.Mkdir(filepath.Join(dir, pkg), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, pkg, "a.go"), []byte("package "+pkg+"\n"+text+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := reference(dir); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("the error says nothing of %q: %v", test.says, err)
			}
		})
	}
}
