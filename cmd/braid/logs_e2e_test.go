package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/braidhq/braid/testbed"
)

// Two hundred thousand lines go from rotated files to a real Elasticsearch: equal count, equal content, nothing twice, no
// conflict, found by trace id.
func TestTwoHundredThousandLinesReachElasticsearch(t *testing.T) {
	es := elastic{testbed.Elasticsearch(t)}
	s := seed(t)
	run := strconv.FormatUint(s, 36)
	stream := "logs-bulk." + run + "-default"
	tree := newShelf(filepath.Join(t.TempDir(), "pods"), s)
	p := newPipeline(t, tree.root, fmt.Sprintf("  - name: es\n    elasticsearch: {urls: [%q], logs_data_stream: %s, traces_data_stream: traces-bulk.%s-default}\n", es.url, stream, run))
	aggregator := p.startAggregator(t, "")
	aggregator.waitReady(t, p.aggregatorWeb)
	agent := p.startAgent(t, "")
	agent.waitReady(t, p.agentWeb)

	const containers, lines = 10, 20_000
	for i := range containers {
		c := tree.open(t, i, 4<<20)
		for range lines / 1000 {
			c.write(t, 1000)
		}
		c.close(t)
	}
	eventually(t, "every line in Elasticsearch", func() (bool, error) {
		n, err := es.count(stream)
		return n >= containers*lines, fmt.Errorf("%d lines, %w\n%s\n%s", n, err, agent.tail(), aggregator.tail())
	})
	got, ids, trace := map[content]int{}, map[string]bool{}, ""
	es.each(t, stream, `{"match_all":{}}`, func(d document) {
		ids[d.ID] = true
		var line struct {
			Message    string
			Log        struct{ Iostream string }
			Trace      struct{ ID string }
			Kubernetes struct{ Pod struct{ Name string } }
		}
		if err := json.Unmarshal(d.Source, &line); err != nil {
			t.Fatal(err)
		}
		if line.Trace.ID != "" {
			trace = line.Trace.ID
		}
		got[contentOf(line.Kubernetes.Pod.Name, line.Log.Iostream, line.Message)]++
	})
	tree.compare(t, "Elasticsearch", got)
	if len(ids) != containers*lines {
		t.Errorf("%d distinct ids of %d lines", len(ids), containers*lines)
	}
	found := 0
	es.each(t, stream, fmt.Sprintf(`{"term":{"trace.id":%q}}`, trace), func(document) { found++ })
	if found != 1 {
		t.Errorf("trace.id %s finds %d lines, one was written", trace, found)
	}
	page, err := get("http://" + p.aggregatorWeb + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	if n := metric(page, "braid_elasticsearch_documents_total", `result="conflict"`); n != 0 {
		t.Errorf("%v conflicts in a run without faults", n)
	}
	if n := metric(page, "braid_elasticsearch_documents_total", `result="stored"`); int(n) != containers*lines {
		t.Errorf("%v documents counted as stored", n)
	}
	if n := metric(page, "braid_log_records_total"); int(n) != containers*lines {
		t.Errorf("braid_log_records_total = %v", n)
	}
	agent.stop(t)
	aggregator.stop(t)
}

const sampleTree = "../../logs/testdata/node/var-log/pods"

// physicalLines counts, with nothing of braid's, the lines of every file of the sample tree once pieces are joined: an F
// ends a line, and so does the end of a file for a P that nothing followed.
func physicalLines(t *testing.T, root string) int {
	t.Helper()
	total := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		var r io.Reader = f
		if strings.HasSuffix(path, ".gz") {
			if r, err = gzip.NewReader(f); err != nil {
				return err
			}
		}
		open := map[string]bool{}
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			parts := strings.SplitN(lines.Text(), " ", 4)
			open[parts[1]] = parts[2] == "P"
			if parts[2] == "F" {
				total++
			}
		}
		for _, left := range open {
			if left {
				total++
			}
		}
		return lines.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

// Every line of every file of a real node's tree, the compressed ones too, reaches the store exactly once.
func TestSampleTreeReachesTheStoreExactlyOnce(t *testing.T) {
	root := filepath.Join(t.TempDir(), "pods")
	if err := os.CopyFS(root, os.DirFS(sampleTree)); err != nil {
		t.Fatal(err)
	}
	want := physicalLines(t, root)
	p := newPipeline(t, root, "  - name: local\n    store: {retention: 3650d}\n")
	aggregator := p.startAggregator(t, "")
	aggregator.waitReady(t, p.aggregatorWeb)
	agent := p.startAgent(t, "")
	agent.waitReady(t, p.agentWeb)
	uids := map[string]bool{}
	eventually(t, "every line in the store", func() (bool, error) {
		body, err := get("http://" + p.aggregatorWeb + "/api/v1/logs")
		if err != nil {
			return false, err
		}
		clear(uids)
		n := 0
		for text := range strings.Lines(body) {
			var line struct{ UID string }
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				return false, err
			}
			uids[line.UID] = true
			n++
		}
		if n > len(uids) {
			t.Fatalf("%d lines with %d distinct uids", n, len(uids))
		}
		return n >= want, fmt.Errorf("%d of %d lines\n%s\n%s", n, want, agent.tail(), aggregator.tail())
	})
	agent.stop(t)
	if len(uids) != want {
		t.Errorf("the store has %d lines, the tree %d", len(uids), want)
	}
	// Restarted, the agent reads what it has read before only as far as its positions tell: nothing comes again.
	again := p.startAgent(t, "")
	again.waitReady(t, p.agentWeb)
	again.stop(t)
	page, err := get("http://" + p.aggregatorWeb + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	if n := metric(page, "braid_log_records_total"); int(n) != want {
		t.Errorf("braid_log_records_total = %v of %d lines", n, want)
	}
	aggregator.stop(t)
}
