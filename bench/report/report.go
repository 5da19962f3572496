package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A Result is one run of one system on one work.
type Result struct {
	System, Work, Codec, Unit string
	CPU                       time.Duration
	Units                     float64 // of work done
	RssAnon, VmHWM, Wire      int64   // bytes
	P50, P99                  time.Duration
}

// PerUnit is the CPU time in seconds that one unit of the work took.
func (r Result) PerUnit() float64 { return r.CPU.Seconds() / r.Units }

// A Row is all runs of one system on one work with one codec. Figures are medians of the runs.
type Row struct {
	System  string    `json:"system"`
	Work    string    `json:"work"`
	Codec   string    `json:"codec"`
	Unit    string    `json:"unit"`
	PerUnit []float64 `json:"cpu_s_per_unit"`
	Median  float64   `json:"median"`
	RssAnon float64   `json:"rss_anon_mib"`
	VmHWM   float64   `json:"vm_hwm_mib"`
	Wire    float64   `json:"wire_mib"`
	P50     float64   `json:"latency_p50_ms,omitempty"`
	P99     float64   `json:"latency_p99_ms,omitempty"`
}

// Rows groups results, in the order in which they first come.
func Rows(results []Result) []Row {
	var rows []Row
	groups := map[[3]string][]Result{}
	var keys [][3]string
	for _, r := range results {
		key := [3]string{r.Work, r.Codec, r.System}
		if groups[key] == nil {
			keys = append(keys, key)
		}
		groups[key] = append(groups[key], r)
	}
	for _, key := range keys {
		g := groups[key]
		of := func(f func(Result) float64) float64 {
			var all []float64
			for _, r := range g {
				all = append(all, f(r))
			}
			return median(all)
		}
		row := Row{
			System: g[0].System, Work: g[0].Work, Codec: g[0].Codec, Unit: g[0].Unit, Median: of(Result.PerUnit),
			RssAnon: of(func(r Result) float64 { return mebi(r.RssAnon) }), VmHWM: of(func(r Result) float64 { return mebi(r.VmHWM) }),
			Wire: of(func(r Result) float64 { return mebi(r.Wire) }),
			P50:  of(func(r Result) float64 { return milli(r.P50) }), P99: of(func(r Result) float64 { return milli(r.P99) }),
		}
		for _, r := range g {
			row.PerUnit = append(row.PerUnit, r.PerUnit())
		}
		rows = append(rows, row)
	}
	return rows
}

func mebi(bytes int64) float64      { return float64(bytes) / (1 << 20) }
func milli(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func median(values []float64) float64 { // of an even number, the mean of the two in the middle
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Table writes rows for people. The last column but the figures is the ratio to braid on the same work and codec.
func Table(w io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WORK\tCODEC\tSYSTEM\tCPU-S PER UNIT\tUNIT\tRUNS\tBRAID x\tRSSANON MIB\tVMHWM MIB\tSENT MIB\tLINE TO SINK P50/P99 MS")
	for _, r := range rows {
		ratio := "-"
		for _, b := range rows {
			if b.System == "braid" && b.Codec == r.Codec && (b.Work == r.Work || r.Work == b.Work+"-unparsed") && b.Median > 0 {
				ratio = fmt.Sprintf("%.1f", r.Median/b.Median)
			}
		}
		var runs []string
		for _, v := range r.PerUnit {
			runs = append(runs, fmt.Sprintf("%.3g", v))
		}
		latency := "-"
		if r.P99 > 0 {
			latency = fmt.Sprintf("%.0f/%.0f", r.P50, r.P99)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%.3g\t%s\t%s\t%s\t%.0f\t%.0f\t%.1f\t%s\n",
			r.Work, r.Codec, r.System, r.Median, r.Unit, strings.Join(runs, " "), ratio, r.RssAnon, r.VmHWM, r.Wire, latency)
	}
	return t.Flush()
}

// Save writes rows as JSON.
func Save(path string, rows []Row) error {
	text, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("cannot save the results: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("cannot save the results: %w", err)
	}
	return nil
}
