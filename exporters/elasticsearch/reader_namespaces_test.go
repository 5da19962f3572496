package elasticsearch

import (
	"fmt"
	"slices"
	"testing"

	"github.com/braidhq/braid/telemetry"
)

func TestNamespacesNarrow(t *testing.T) {
	c := newCluster(t)
	r := c.reader()
	if names, err := r.Namespaces(t.Context(), ""); len(names) != 0 || err != nil {
		t.Errorf("no data stream: %v, %v", names, err)
	}
	elsewhere := func(b *telemetry.Batch, namespace, service string) *telemetry.Batch {
		resource := *b.Resource
		resource.Namespace, resource.Service = namespace, service
		b.Resource = &resource
		for i := range b.Spans {
			b.Spans[i].Name = namespace + " op"
		}
		return b
	}
	theirs := elsewhere(logBatch(4, 0, 2, 1), "theirs", "x")
	theirs.Tenant = "team-a"
	write(t, c.exporter(), []*telemetry.Batch{
		logBatch(1, 0, 5, 1), elsewhere(logBatch(2, 5, 3, 1), "lines", "cart"), elsewhere(logBatch(3, 8, 1, 1), "", "cart"), theirs,
		elsewhere(spanBatch(0, 4, 1), "shop", "cart"), elsewhere(spanBatch(100, 3, 1), "pay", "till"), elsewhere(spanBatch(200, 2, 1), "pay", "cart"), elsewhere(spanBatch(300, 1, 1), "", "cart"),
	})
	c.refresh(c.o.LogsDataStream)
	c.refresh(c.o.TracesDataStream)
	if names, err := r.Namespaces(t.Context(), ""); err != nil || !slices.Equal(names, []string{"lines", "pay", "shop", "theirs"}) {
		t.Errorf("namespaces %v, %v", names, err)
	}
	if names, err := r.Namespaces(t.Context(), "team-a"); err != nil || !slices.Equal(names, []string{"theirs"}) {
		t.Errorf("namespaces of a tenant %v, %v", names, err)
	}
	for _, test := range []struct {
		namespaces        []string
		lines, tail       int
		services          []string
		operations, found int
	}{
		{nil, 11, 4, []string{"cart", "till"}, 3, 10},
		{[]string{"shop"}, 5, 1, []string{"cart"}, 1, 4},
		{[]string{"pay"}, 0, 0, []string{"cart", "till"}, 1, 5},
		{[]string{"shop", "lines"}, 8, 2, []string{"cart"}, 1, 4},
		{[]string{"none"}, 0, 0, nil, 0, 0},
	} {
		what := fmt.Sprintf("%q", test.namespaces)
		if n, tail := len(c.lines(telemetry.LogQuery{Namespaces: test.namespaces})), len(c.lines(telemetry.LogQuery{Namespaces: test.namespaces, Tail: 1})); n != test.lines || tail != test.tail {
			t.Errorf("%s: %d lines, %d last ones", what, n, tail)
		}
		if services, err := r.Services(t.Context(), "", test.namespaces); err != nil || !slices.Equal(services, test.services) {
			t.Errorf("%s: services %v, %v", what, services, err)
		}
		if operations, err := r.Operations(t.Context(), "", "cart", test.namespaces); err != nil || len(operations) != test.operations {
			t.Errorf("%s: operations %v, %v", what, operations, err)
		}
		if ids, err := r.FindTraces(t.Context(), telemetry.TraceQuery{Namespaces: test.namespaces}); err != nil || len(ids) != test.found {
			t.Errorf("%s: %d traces, %v", what, len(ids), err)
		}
	}
	if ids, err := r.FindTraces(t.Context(), telemetry.TraceQuery{Operation: "pay op", Namespaces: []string{"shop"}}); err != nil || len(ids) != 0 {
		t.Errorf("a trace is found by what lies elsewhere: %v, %v", ids, err)
	}
	if lines := c.lines(telemetry.LogQuery{Namespace: "lines", Namespaces: []string{"shop"}}); len(lines) != 0 {
		t.Errorf("both must hold: %d lines", len(lines))
	}
}
