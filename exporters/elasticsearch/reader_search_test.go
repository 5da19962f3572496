package elasticsearch

import (
	"fmt"
	"slices"
	"testing"

	"github.com/braidhq/braid/telemetry"
)

func TestTracesAreFound(t *testing.T) {
	c := newCluster(t)
	r := c.reader()
	if ids, err := r.FindTraces(t.Context(), telemetry.TraceQuery{}); ids != nil || err != nil {
		t.Errorf("no data stream: %v, %v", ids, err)
	}
	if names, err := r.Services(t.Context(), "", nil); names != nil || err != nil {
		t.Errorf("no data stream: %v, %v", names, err)
	}
	cart, pay := spanBatch(0, 6, 1), spanBatch(100, 4, 1)
	pay.Resource = &telemetry.Resource{Service: "pay", Namespace: "shop", Pod: "pay-0", Restart: 2, Attrs: []telemetry.Attr{attr("host.arch", "arm64")}}
	pay.Tenant = "team-a"
	for i := range cart.Spans {
		s := &cart.Spans[i]
		s.TraceID = telemetry.TraceID{1, 15: byte(i / 2)} // two spans a trace
		s.Kind, s.Status, s.EndUnixNano = telemetry.SpanKind(1+i%2), telemetry.StatusCode(i%3), s.StartUnixNano+int64(i)*1000
		s.Name = fmt.Sprintf("op %d", i%2)
		s.Attrs = append(s.Attrs, telemetry.Attr{Key: "http.status_code", Value: telemetry.Int(int64(200 + i))}, telemetry.Attr{Key: "load", Value: telemetry.Value{Kind: telemetry.FloatValue, Float: 0.5}})
	}
	write(t, c.exporter(), []*telemetry.Batch{cart, pay})
	c.refresh(c.o.TracesDataStream)
	at := func(i int) int64 { return cart.Spans[i].StartUnixNano }
	for _, test := range []struct {
		name string
		q    telemetry.TraceQuery
		want []byte // the last bytes of trace ids
	}{
		{"everything, the newest first", telemetry.TraceQuery{}, []byte{103, 102, 101, 100, 2, 1, 0}},
		{"limit", telemetry.TraceQuery{Limit: 5}, []byte{103, 102, 101, 100, 2}},
		{"tenant", telemetry.TraceQuery{Tenant: "team-a"}, []byte{103, 102, 101, 100}},
		{"service", telemetry.TraceQuery{Service: "cart"}, []byte{2, 1, 0}},
		{"operation", telemetry.TraceQuery{Service: "cart", Operation: "op 1"}, []byte{2, 1, 0}},
		{"kind and status", telemetry.TraceQuery{Kinds: []telemetry.SpanKind{1}, Statuses: []telemetry.StatusCode{2}}, []byte{1}},
		{"no such status", telemetry.TraceQuery{Statuses: []telemetry.StatusCode{99}}, nil},
		{"integer", telemetry.TraceQuery{Attrs: []telemetry.TextAttr{{Key: "http.status_code", Value: "203"}}}, []byte{1}},
		{"boolean and float", telemetry.TraceQuery{Attrs: []telemetry.TextAttr{{Key: "ok", Value: "true"}, {Key: "load", Value: "0.5"}}}, []byte{2, 1, 0}},
		{"resource", telemetry.TraceQuery{Attrs: []telemetry.TextAttr{{Key: "host.arch", Value: "arm64"}, {Key: "k8s.pod.name", Value: "pay-0"}}, Limit: 1}, []byte{103}},
		{"another pod", telemetry.TraceQuery{Attrs: []telemetry.TextAttr{{Key: "k8s.pod.name", Value: "pay-1"}}}, nil},
		{"a number that is none", telemetry.TraceQuery{Attrs: []telemetry.TextAttr{{Key: "k8s.container.restart_count", Value: "two"}}}, nil},
		{"from is in, to is out", telemetry.TraceQuery{FromUnixNano: at(1), ToUnixNano: at(4)}, []byte{1, 0}},
		{"duration", telemetry.TraceQuery{MinNano: 2000, MaxNano: 3000}, []byte{1}},
	} {
		ids, err := r.FindTraces(t.Context(), test.q)
		var got []byte
		for _, id := range ids {
			got = append(got, id[15])
		}
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, %v; want %v", test.name, got, err, test.want)
		}
	}
	services, err := r.Services(t.Context(), "", nil)
	if err != nil || !slices.Equal(services, []string{"cart", "pay"}) {
		t.Errorf("services %v, %v", services, err)
	}
	if services, err := r.Services(t.Context(), "team-a", nil); err != nil || !slices.Equal(services, []string{"pay"}) {
		t.Errorf("services of a tenant: %v, %v", services, err)
	}
	operations, err := r.Operations(t.Context(), "", "cart", nil)
	if want := []telemetry.Operation{{Name: "op 0", Kind: 1}, {Name: "op 1", Kind: 2}}; err != nil || !slices.Equal(operations, want) {
		t.Errorf("operations %v, %v", operations, err)
	}
}
