package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/testbed"
	"github.com/braidhq/braid/wire/compression"
)

// refuses runs braid, which must exit with an error that says each of says.
func refuses(t *testing.T, args []string, says ...string) {
	t.Helper()
	p := start(t, "", args...)
	select {
	case <-p.done:
	case <-time.After(deadline):
		t.Fatalf("%v goes on:\n%s", args, p.tail())
	}
	if p.err == nil {
		t.Errorf("%v exited with 0:\n%s", args, p.tail())
	}
	for _, text := range says {
		if !strings.Contains(p.tail(), text) {
			t.Errorf("%v does not say %q:\n%s", args, text, p.tail())
		}
	}
}

func TestAnUnknownConfigurationKeyIsRefusedWithItsLine(t *testing.T) {
	file := writeFile(t, filepath.Join(t.TempDir(), "agent.yaml"), "data_dir: /tmp/x\naggregator: {url: \"http://127.0.0.1:1\"}\nlogs:\n  - path: /var/log/pods\n    formt: cri\n")
	for _, args := range [][]string{{"agent", "--config.file", file}, {"check", file}} {
		refuses(t, args, file+":5: ", `unknown key "formt"`)
	}
}

func TestAPortInUseIsSaid(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p := newPipeline(t, t.TempDir(), "  - name: local\n    store: {}\n")
	text, err := os.ReadFile(p.aggregatorConfig)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, p.aggregatorConfig, strings.Replace(string(text), p.aggregatorWeb, ln.Addr().String(), 1))
	refuses(t, []string{"aggregator", "--config.file", p.aggregatorConfig}, ln.Addr().String(), "uses the port")
}

func TestAListenerOffLoopbackNeedsTheWord(t *testing.T) {
	p := newPipeline(t, t.TempDir(), "  - name: local\n    store: {}\n")
	text, err := os.ReadFile(p.aggregatorConfig)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, p.aggregatorConfig, strings.Replace(string(text), p.aggregatorHTTP, "0.0.0.0:0", 1))
	refuses(t, []string{"aggregator", "--config.file", p.aggregatorConfig}, "0.0.0.0:0", "insecure: true")
}

func TestTheDataDirectoryIsLocked(t *testing.T) {
	p := newPipeline(t, t.TempDir(), "  - name: local\n    store: {}\n")
	first := p.startAggregator(t, "")
	first.waitReady(t, p.aggregatorWeb)
	text, err := os.ReadFile(p.aggregatorConfig)
	if err != nil {
		t.Fatal(err)
	}
	other := freeAddresses(t, 2)
	second := strings.NewReplacer(p.aggregatorWeb, other[0], p.aggregatorHTTP, other[1]).Replace(string(text))
	refuses(t, []string{"aggregator", "--config.file", writeFile(t, filepath.Join(t.TempDir(), "second.yaml"), second)}, "locked")
	first.stop(t)
}

// A directory that cannot be read is named; the rest of the tree is read all the same.
func TestAMissingLogDirectoryIsNoReasonToStop(t *testing.T) {
	p := newPipeline(t, filepath.Join(t.TempDir(), "not", "there"), "  - name: local\n    store: {}\n")
	aggregator, agent := p.startAggregator(t, ""), p.startAgent(t, "")
	aggregator.waitReady(t, p.aggregatorWeb)
	agent.waitReady(t, p.agentWeb)
	// The directory appears later, as on a node whose first pod has not been scheduled yet.
	tree := newShelf(p.logs, 1)
	c := tree.open(t, 0, 1<<20)
	c.write(t, 20)
	c.close(t)
	p.checkStore(t, tree)
	agent.stop(t)
	aggregator.stop(t)
}

// Elasticsearch is away: the aggregator says so once, takes what comes, and delivers all of it when it is back.
func TestElasticsearchAwayLosesNothing(t *testing.T) {
	es := elastic{testbed.Elasticsearch(t)}
	gate := newGate(t, strings.TrimPrefix(es.url, "http://"))
	run := fmt.Sprintf("%x", time.Now().UnixNano())
	stream := "logs-away." + run + "-default"
	p := newPipeline(t, filepath.Join(t.TempDir(), "pods"), fmt.Sprintf(
		"  - name: es\n    elasticsearch: {urls: [\"http://%s\"], logs_data_stream: %s, traces_data_stream: traces-away.%s-default}\n", gate.address, stream, run))
	tree := newShelf(p.logs, 2)
	aggregator, agent := p.startAggregator(t, ""), p.startAgent(t, "")
	aggregator.waitReady(t, p.aggregatorWeb)
	agent.waitReady(t, p.agentWeb)
	c := tree.open(t, 0, 1<<20)
	c.write(t, 500)
	c.close(t)
	eventually(t, "it says that Elasticsearch is away", func() (bool, error) {
		return strings.Contains(aggregator.out.String(), "away"), fmt.Errorf("%s", aggregator.tail())
	})
	if _, err := get("http://" + p.aggregatorWeb + "/-/healthy"); err != nil {
		t.Errorf("a sink that is away makes braid unhealthy: %v", err)
	}
	gate.open()
	eventually(t, "every line in Elasticsearch", func() (bool, error) {
		n, err := es.count(stream)
		return n >= tree.written(), fmt.Errorf("%d of %d, %w\n%s", n, tree.written(), err, aggregator.tail())
	})
	if n, err := es.count(stream); n != tree.written() {
		t.Errorf("%d of %d lines, %v", n, tree.written(), err)
	}
	if n := strings.Count(aggregator.out.String(), "away"); n > 2 { // one a lane
		t.Errorf("it says %d times that Elasticsearch is away:\n%s", n, aggregator.tail())
	}
	agent.stop(t)
	aggregator.stop(t)
}

// A gate is a TCP relay that refuses connections until it is opened.
type gate struct {
	address string
	target  string
	t       testing.TB
}

func newGate(t testing.TB, target string) *gate {
	t.Helper()
	return &gate{address: freeAddresses(t, 1)[0], target: target, t: t}
}

func (g *gate) open() {
	ln, err := net.Listen("tcp", g.address)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", g.target)
			if err != nil {
				in.Close()
				return
			}
			go relay(in, out)
			go relay(out, in)
		}
	}()
}

func relay(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Garbage, an oversized body and a bomb are refused with the right status, and what comes after is taken.
func TestBadRequestsAreRefusedAndTheNextIsTaken(t *testing.T) {
	p := newPipeline(t, t.TempDir(), "  - name: local\n    store: {}\nlimits: {max_body_bytes: 1MiB}\n")
	aggregator := p.startAggregator(t, "")
	aggregator.waitReady(t, p.aggregatorWeb)
	base := "http://" + p.aggregatorHTTP
	bomb := compression.Compress(nil, make([]byte, 64<<20), telemetry.Zstd)
	snappyBomb := compression.Compress(nil, make([]byte, 64<<20), telemetry.Snappy)
	for name, r := range map[string]struct {
		path, contentType, encoding string
		body                        []byte
		want                        int
	}{
		"OTLP garbage":         {"/v1/logs", "application/x-protobuf", "", []byte("not protobuf at all"), http.StatusBadRequest},
		"broken zstd":          {"/v1/traces", "application/x-protobuf", "zstd", []byte("not zstd"), http.StatusBadRequest},
		"an oversized body":    {"/v1/logs", "application/x-protobuf", "", make([]byte, 2<<20), http.StatusRequestEntityTooLarge},
		"a zstd bomb":          {"/v1/logs", "application/x-protobuf", "zstd", bomb, http.StatusRequestEntityTooLarge},
		"a snappy bomb":        {"/api/v1/write", "application/x-protobuf", "snappy", snappyBomb, http.StatusRequestEntityTooLarge},
		"remote-write garbage": {"/api/v1/write", "application/x-protobuf", "snappy", []byte("\xff\xff\xff"), http.StatusBadRequest},
		"an unknown type":      {"/v1/logs", "text/plain", "", []byte("x"), http.StatusUnsupportedMediaType},
		"an unknown encoding":  {"/v1/logs", "application/x-protobuf", "br", []byte("x"), http.StatusUnsupportedMediaType},
		"an empty request":     {"/v1/logs", "application/x-protobuf", "", nil, http.StatusOK},
	} {
		req, err := http.NewRequest(http.MethodPost, base+r.path, bytes.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", r.contentType)
		if r.encoding != "" {
			req.Header.Set("Content-Encoding", r.encoding)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != r.want {
			t.Errorf("%s: %s, %d was expected", name, resp.Status, r.want)
		}
	}
	aggregator.stop(t)
}

// A corrupt segment costs the record that is corrupt, is counted, and is no reason not to start.
func TestACorruptSegmentIsPassedByAndCounted(t *testing.T) {
	p := newPipeline(t, filepath.Join(t.TempDir(), "pods"), "  - name: away\n    elasticsearch: {urls: [\"http://127.0.0.1:1\"]}\n")
	aggregator := p.startAggregator(t, "")
	aggregator.waitReady(t, p.aggregatorWeb)
	tree := newShelf(p.logs, 3)
	agent := p.startAgent(t, "")
	agent.waitReady(t, p.agentWeb)
	c := tree.open(t, 0, 1<<20)
	for i := range 20 { // many frames: each is in the queue before the next is written
		c.write(t, 10)
		eventually(t, "the queue takes it", func() (bool, error) {
			page, err := get("http://" + p.aggregatorWeb + "/metrics")
			return err == nil && int(metric(page, "braid_log_records_total")) >= (i+1)*10, err
		})
	}
	c.close(t)
	agent.stop(t)
	aggregator.kill()

	segments, err := filepath.Glob(filepath.Join(p.dir, "aggregator", "queue", "logs", "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("no segments: %v", err)
	}
	data, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 0xff
	if err := os.WriteFile(segments[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	again := p.startAggregator(t, "")
	again.waitReady(t, p.aggregatorWeb)
	eventually(t, "the corrupt record is counted", func() (bool, error) {
		page, err := get("http://" + p.aggregatorWeb + "/metrics")
		return err == nil && metric(page, "braid_pipeline_dropped_frames_total", `reason="corrupt"`) >= 1, fmt.Errorf("%w %s", err, again.tail())
	})
	again.stop(t)
}
