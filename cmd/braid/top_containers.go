package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/braidhq/braid/diagnose"
)

const topContainersLong = `Print which containers write the most log: lines and bytes a second, and of the lines those of severity error and above.

The numbers are the aggregator's own count of all lines before any sampling, between two looks at its /metrics, --interval
apart; no store is needed. On a terminal the table is drawn again every --interval until Ctrl-C; elsewhere, with --once
and with -o json it is printed once.`

const topContainersExample = `  # Who fills the disks, live
  braid top containers

  # Who logs errors in the namespace shop, over ten seconds
  braid top containers -n shop --sort errors --once --interval 10s

  # For a script: every container that writes more than a mebibyte a second
  braid top containers --limit 0 -o json | jq '.containers[] | select(.bytes > 1048576)'`

var containerColumns = []string{"bytes", "lines", "errors", "name"}

func newTopContainersCommand(o *topOptions) *cobra.Command {
	var before *diagnose.Reading
	cmd := o.command(topKind{
		name: "containers", short: "Print which containers write the most log, live on a terminal", long: topContainersLong, example: topContainersExample,
		columns: containerColumns, check: func() error { return nil },
		read: func(ctx context.Context, client aggregatorClient) (topView, error) {
			return o.readContainers(ctx, client, &before)
		},
	})
	cmd.Flags().StringVarP(&o.namespace, "namespace", "n", "", "only containers of this namespace; \"\" is all")
	cmd.Flags().IntVar(&o.limit, "limit", 20, "print so many containers; 0 is all")
	return cmd
}

// A containerRow is what one container writes a second.
type containerRow struct {
	Namespace string  `json:"namespace"`
	Pod       string  `json:"pod"`
	Container string  `json:"container"`
	Lines     float64 `json:"lines"`
	Bytes     float64 `json:"bytes"`
	Errors    float64 `json:"errors"` // lines
}

func (r *containerRow) name() string { return r.Namespace + "\x00" + r.Pod + "\x00" + r.Container }

// A containerTable is what `braid top containers` prints.
type containerTable struct {
	Time       time.Time      `json:"time"`
	Window     float64        `json:"window_seconds"`
	Total      containerTotal `json:"total"`
	Containers []containerRow `json:"containers"`
}

type containerTotal struct {
	Containers int     `json:"containers"`
	Lines      float64 `json:"lines"`
	Bytes      float64 `json:"bytes"`
	Errors     float64 `json:"errors"`
}

const (
	containerLines = "braid_log_records_total"
	containerBytes = "braid_log_record_bytes_total"
)

// readContainers compares a page with the one before; the first time it reads both.
func (o *topOptions) readContainers(ctx context.Context, client aggregatorClient, before **diagnose.Reading) (*containerTable, error) {
	if *before == nil {
		first, err := o.reading(ctx, client)
		if err != nil {
			return nil, err
		}
		*before = first
		if err := o.pause(ctx, o.interval); err != nil {
			return nil, err
		}
	}
	now, err := o.reading(ctx, client)
	if err != nil {
		return nil, err
	}
	t := &containerTable{Time: now.Taken.UTC(), Window: max(now.Taken.Sub((*before).Taken).Seconds(), 1e-3)}
	rows := map[string]*containerRow{}
	for _, metric := range []string{containerLines, containerBytes} {
		old := map[string]float64{}
		for _, s := range (*before).Page.Samples(metric) {
			old[seriesOf(s)] = s.Value
		}
		for _, s := range now.Page.Samples(metric) {
			if o.namespace != "" && s.Labels["namespace"] != o.namespace {
				continue
			}
			grown := s.Value - old[seriesOf(s)]
			if grown < 0 { // the container was forgotten, or the aggregator restarted without its state
				grown = s.Value
			}
			r := containerRow{Namespace: s.Labels["namespace"], Pod: s.Labels["pod"], Container: s.Labels["container"]}
			if rows[r.name()] == nil {
				rows[r.name()] = &r
			}
			rows[r.name()].add(metric, s.Labels["severity"], grown/t.Window)
		}
	}
	*before = now
	t.fill(rows, o.sort, o.limit)
	return t, nil
}

func seriesOf(s diagnose.Sample) string {
	return strings.Join([]string{s.Labels["namespace"], s.Labels["pod"], s.Labels["container"], s.Labels["severity"]}, "\x00")
}

func (r *containerRow) add(metric, severity string, rate float64) {
	if metric == containerBytes {
		r.Bytes += rate
		return
	}
	r.Lines += rate
	if severity == "error" || severity == "fatal" {
		r.Errors += rate
	}
}

func (o *topOptions) reading(ctx context.Context, client aggregatorClient) (*diagnose.Reading, error) {
	body, err := client.get(ctx, "/metrics", nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	taken := o.now()
	page, err := diagnose.Parse(body)
	if err != nil {
		return nil, err
	}
	if role := diagnose.Role(page); role != "aggregator" {
		return nil, fmt.Errorf("what answers at %s is no aggregator, or not ready: only aggregators count lines by container", client.base)
	}
	return &diagnose.Reading{Page: page, Taken: taken}, nil
}

func (t *containerTable) fill(rows map[string]*containerRow, column string, limit int) {
	t.Containers = []containerRow{}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		r := rows[name]
		t.Containers = append(t.Containers, *r)
		t.Total.Containers++
		t.Total.Lines, t.Total.Bytes, t.Total.Errors = t.Total.Lines+r.Lines, t.Total.Bytes+r.Bytes, t.Total.Errors+r.Errors
	}
	value := map[string]func(*containerRow) float64{
		"bytes":  func(r *containerRow) float64 { return r.Bytes },
		"lines":  func(r *containerRow) float64 { return r.Lines },
		"errors": func(r *containerRow) float64 { return r.Errors },
	}[column]
	if value != nil { // else by name, as they are
		slices.SortStableFunc(t.Containers, func(a, b containerRow) int { return cmp.Compare(value(&b), value(&a)) })
	}
	if limit > 0 && len(t.Containers) > limit {
		t.Containers = t.Containers[:limit]
	}
}

func (t *containerTable) json() ([]byte, error) {
	b, err := json.Marshal(t)
	return append(b, '\n'), err
}

func (t *containerTable) text(p palette) []byte {
	var b bytes.Buffer
	widths := [3]int{len("NAMESPACE"), len("POD"), len("CONTAINER")}
	for i := range t.Containers {
		for j, cell := range t.Containers[i].cells() {
			widths[j] = max(widths[j], utf8.RuneCountInString(cell))
		}
	}
	fmt.Fprintf(&b, "%-*s  %-*s  %-*s  %10s  %10s  %10s\n", widths[0], "NAMESPACE", widths[1], "POD", widths[2], "CONTAINER", "LINES/S", "BYTES/S", "ERRORS/S")
	for i := range t.Containers {
		r, cells, color := &t.Containers[i], t.Containers[i].cells(), ""
		if r.Errors > 0 {
			color = colorError
		}
		fmt.Fprintf(&b, "%-*s  %-*s  %-*s  %10.2f  %10s  %s\n", widths[0], cells[0], widths[1], cells[1], widths[2], cells[2],
			r.Lines, byteRate(r.Bytes), p.wrap(color, fmt.Sprintf("%10.2f", r.Errors)))
	}
	switch hidden := t.Total.Containers - len(t.Containers); {
	case t.Total.Containers == 0:
		b.WriteString("no container has written a line in the last hour\n")
	case hidden > 0:
		fmt.Fprintf(&b, "and %s more; all together %.2f lines/s, %s/s\n", counted(hidden, "container"), t.Total.Lines, byteRate(t.Total.Bytes))
	}
	return b.Bytes()
}

func (r *containerRow) cells() [3]string {
	return [3]string{printable(r.Namespace), printable(r.Pod), printable(r.Container)}
}

func byteRate(bytes float64) string {
	for _, unit := range []struct {
		name  string
		bytes float64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if bytes >= unit.bytes {
			return fmt.Sprintf("%.1f%s", bytes/unit.bytes, unit.name)
		}
	}
	return fmt.Sprintf("%.0fB", bytes)
}
