package main

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// docs/sizing.md calculates with docs/benchmarks.md's figures: its table quotes them, and its expressions come out.

var (
	quoted   = regexp.MustCompile("(?m)^\\| [^|]+ \\| ([0-9.]+) \\| [^|]* \\| B `([a-z-]+)` ([a-z]+) (cpu|rss) \\|$")
	sum      = regexp.MustCompile(`(?m)^ {4,}([0-9][0-9.×/+ -]*) = ([0-9.]+)(?: |$)`)
	ofSizing = "../docs/sizing.md"
)

func document(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// results returns braid's rows of the results, CPU and RssAnon by "work codec".
func results(text string) map[string]map[string]string {
	rows, work, codec := map[string]map[string]string{}, "", ""
	_, table, _ := strings.Cut(text, "## Results")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 10 {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if cells[1] != "" {
			work, codec = cells[1], cells[2]
		}
		if cells[3] == "braid" {
			rows[work+" "+codec] = map[string]string{"cpu": cells[4], "rss": cells[7]}
		}
	}
	return rows
}

func TestSizingQuotesTheBenchmarks(t *testing.T) {
	measured := results(document(t, "../docs/benchmarks.md"))
	quotes := quoted.FindAllStringSubmatch(document(t, ofSizing), -1)
	if len(quotes) < 8 {
		t.Errorf("only %d figures are quoted", len(quotes))
	}
	for _, q := range quotes {
		if got := measured[q[2]+" "+q[3]][q[4]]; got != q[1] {
			t.Errorf("%s %s %s is %q in the benchmarks and %s in docs/sizing.md: bring it and what follows from it up to date", q[2], q[3], q[4], got, q[1])
		}
	}
}

func TestSizingComesOut(t *testing.T) {
	sums := sum.FindAllStringSubmatch(document(t, ofSizing), -1)
	if len(sums) < 25 {
		t.Errorf("only %d expressions", len(sums))
	}
	for _, s := range sums {
		want, err := strconv.ParseFloat(s[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		if got := evaluate(t, s[1]); math.Abs(got-want) > 0.02*want {
			t.Errorf("%s = %g, not %s", s[1], got, s[2])
		}
	}
}

// evaluate knows + and -, and before them × and /, each from left to right.
func evaluate(t *testing.T, text string) (total float64) {
	t.Helper()
	words := strings.Fields(text)
	sign, term := 1.0, 1.0
	operator := "×"
	for i, word := range words {
		if i%2 == 1 {
			if word == "+" || word == "-" {
				total += sign * term
				sign, term = map[string]float64{"+": 1, "-": -1}[word], 1
				word = "×"
			}
			operator = word
			continue
		}
		n, err := strconv.ParseFloat(word, 64)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if operator == "/" {
			n = 1 / n
		}
		term *= n
	}
	return total + sign*term
}

func TestEvaluate(t *testing.T) {
	for text, want := range map[string]float64{"2 × 3 + 4": 10, "20 - 3 × 1": 17, "10 + 1.5 × 300": 460, "8 / 2 / 2 - 1 + 3": 4} {
		if got := evaluate(t, text); got != want {
			t.Errorf("%s = %g, want %g", text, got, want)
		}
	}
}

// What the sizing says of the chart is what the chart has.
func TestSizingKnowsTheChart(t *testing.T) {
	chart, text := document(t, "../deploy/helm/braid/values.yaml"), document(t, ofSizing)
	for inChart, inText := range map[string]string{
		"requests: {cpu: 50m, memory: 64Mi}\n    limits: {memory: 256Mi}":          "asks for `50m` and `64Mi`, limit `256Mi`",
		"requests: {cpu: 250m, memory: 512Mi}\n    limits: {memory: 2Gi}":          "`memory: 512Mi`, limit `2Gi`",
		"# Three lanes of queue.max_bytes (1 GiB), and the store.\n    size: 20Gi": "a volume of `20Gi`, 24 h",
		"store: {retention: 24h}": "24 h",
	} {
		if !strings.Contains(chart, inChart) || !strings.Contains(text, inText) {
			t.Errorf("%q in the chart and %q in the sizing belong together", inChart, inText)
		}
	}
}
