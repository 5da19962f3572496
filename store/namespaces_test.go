package store

import (
	"fmt"
	"slices"
	"testing"

	"github.com/braidhq/braid/telemetry"
)

// inNamespace is a batch of spans as spanBatch makes it, elsewhere and with operations of its own.
func inNamespace(namespace, service string, seed int64, n int) *telemetry.Batch {
	b := spanBatch(service, seed, n)
	r := *b.Resource
	r.Namespace = namespace
	b.Resource = &r
	for i := range b.Spans {
		b.Spans[i].Name = namespace + " " + b.Spans[i].Name
	}
	return b
}

func TestNamespacesNarrow(t *testing.T) {
	s := openStore(t, Options{})
	shopLines, payLines, nowhere := logBatch(podResource("web", "app", 0), 1, 1, 3), logBatch(podResource("till", "app", 0), 2, 2, 4), logBatch(&telemetry.Resource{Restart: -1}, 3, 5)
	r := *payLines.Resource
	r.Namespace, r.Service = "pay", "only-lines"
	payLines.Resource = &r
	tenant := inNamespace("theirs", "cart", 5, 10)
	tenant.Tenant = "other"
	mustWrite(t, s, shopLines, payLines, nowhere, inNamespace("shop", "cart", 1, 30), inNamespace("pay", "till", 2, 30), inNamespace("pay", "cart", 3, 30), inNamespace("", "cart", 4, 30), tenant)

	if names, err := s.Namespaces(t.Context(), ""); err != nil || !slices.Equal(names, []string{"pay", "shop"}) {
		t.Errorf("namespaces %v, %v", names, err)
	}
	if names, err := s.Namespaces(t.Context(), "other"); err != nil || !slices.Equal(names, []string{"theirs"}) {
		t.Errorf("namespaces of another tenant %v, %v", names, err)
	}
	for _, c := range []struct {
		namespaces []string
		services   []string
		operations int // of cart
		lines      int
	}{
		{nil, []string{"cart", "till"}, 45, 5},
		{[]string{"shop"}, []string{"cart"}, 15, 2},
		{[]string{"pay"}, []string{"cart", "till"}, 15, 2},
		{[]string{"pay", "shop"}, []string{"cart", "till"}, 30, 4},
		{[]string{"none"}, nil, 0, 0},
		{[]string{}, nil, 0, 0},
	} {
		what := fmt.Sprintf("%q", c.namespaces)
		services, err := s.Services(t.Context(), "", c.namespaces)
		if err != nil || !slices.Equal(services, c.services) {
			t.Errorf("%s: services %v, %v", what, services, err)
		}
		operations, err := s.Operations(t.Context(), "", "cart", c.namespaces)
		if err != nil || len(operations) != c.operations || !slices.IsSortedFunc(operations, func(a, b telemetry.Operation) int { return slices.Compare([]string{a.Name}, []string{b.Name}) }) {
			t.Errorf("%s: %d operations %v, %v", what, len(operations), operations, err)
		}
		if got := bodies(t, s, telemetry.LogQuery{Namespaces: c.namespaces}); len(got) != c.lines {
			t.Errorf("%s: lines %v", what, got)
		}
		ids, err := s.FindTraces(t.Context(), telemetry.TraceQuery{Service: "cart", Namespaces: c.namespaces})
		if err != nil || len(ids) != c.operations/5 { // 3 traces of each 30 spans
			t.Errorf("%s: %d traces, %v", what, len(ids), err)
		}
	}
	if got := bodies(t, s, telemetry.LogQuery{Namespace: "pay", Namespaces: []string{"shop"}}); len(got) != 0 {
		t.Errorf("both must hold: %v", got)
	}
	// A trace is found by its spans in the namespaces alone.
	if ids, err := s.FindTraces(t.Context(), telemetry.TraceQuery{Operation: "pay op 1", Namespaces: []string{"shop"}}); err != nil || len(ids) != 0 {
		t.Errorf("%v, %v", ids, err)
	}
}
