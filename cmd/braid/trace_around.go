package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/braidhq/braid/query"
	"github.com/braidhq/braid/telemetry"
)

// criticalPath prints which services the trace waited for, those it waited for longest first.
func (w *waterfall) criticalPath() {
	waited := map[string]time.Duration{}
	for i := range w.view.Spans {
		for _, c := range w.view.Spans[i].Critical {
			waited[serviceOf(&w.view.Spans[i])] += time.Duration(c.DurationNano)
		}
	}
	if len(waited) == 0 {
		return
	}
	services := slices.SortedFunc(maps.Keys(waited), func(a, b string) int {
		return cmp.Or(cmp.Compare(waited[b], waited[a]), cmp.Compare(a, b))
	})
	parts := make([]string, len(services))
	for i, s := range services {
		parts[i] = s + " " + shortDuration(waited[s])
	}
	fmt.Fprintf(&w.out, "critical path (█): %s\n", strings.Join(parts, ", "))
}

// onPath returns, for each cell of the axis, whether the trace waited for s in it. Where nothing is known of a critical
// path all of a span is drawn alike.
func (w *waterfall) onPath(s *query.SpanView) (cells [barWidth]bool) {
	if !w.critical {
		return [barWidth]bool(slices.Repeat([]bool{true}, barWidth))
	}
	for _, c := range s.Critical {
		from := time.Unix(0, c.StartNano)
		last := w.cell(from.Add(time.Duration(max(c.DurationNano-1, 0))))
		for i := w.cell(from); i <= last; i++ {
			cells[i] = true
		}
	}
	return cells
}

// around draws what belongs to the trace only as far as pods and times tell.
func (w *waterfall) around() {
	if len(w.view.Nearby) > 0 {
		w.out.WriteString("\nLines without a trace id, by pod and time (~):\n")
	}
	for i := range w.view.Nearby {
		l := &w.view.Nearby[i]
		item := newLineItem(&l.LogLine)
		item.nearby = true
		w.line(item, "~ "+printable(l.Pod)+": ", "~ ")
	}
	if w.view.NearbyCut {
		w.out.WriteString("~ and more: ask with 'braid logs'\n")
	}
	if len(w.view.Processes) == 0 {
		return
	}
	w.out.WriteString("\nProcesses at the end of the trace:\n")
	for i := range w.view.Processes {
		w.process(&w.view.Processes[i])
	}
}

func (w *waterfall) process(p *query.ProcessView) {
	name := p.Pod
	if p.Pod != "" && p.Namespace != "" {
		name = p.Namespace + "/" + p.Pod
	}
	if p.Pod == "" {
		name = strings.TrimSpace(p.Service + " " + p.Instance)
	}
	cpu, memory := "-", "-"
	if p.CPUCores != nil {
		cpu = fmt.Sprintf("%.3f", *p.CPUCores)
	}
	if p.ResidentBytes != nil {
		memory = fmt.Sprintf("%.1f MiB", *p.ResidentBytes/(1<<20))
	}
	on, off := w.palette.pod(&telemetry.Resource{Namespace: p.Namespace, Pod: p.Pod, Service: p.Service})
	fmt.Fprintf(&w.out, "%10s cores %14s  %s%s%s\n", cpu, memory, on, printable(name), off)
}
