package remotewrite

import (
	"fmt"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/braidhq/braid/telemetry"
)

// A fork knows the series of the decoder that it was made of, and what each has returned is its own.
func TestAForkSharesSeries(t *testing.T) {
	var samples []telemetry.Sample
	for i := range 40_000 { // more than a cache of ordinary size holds
		samples = append(samples, telemetry.Sample{
			Series: &telemetry.Series{Labels: labels.FromStrings("__name__", "x", "i", fmt.Sprint(i))}, UnixMilli: int64(i), Value: float64(i),
		})
	}
	var e Encoder
	body := e.AppendV2(nil, samples)
	first := NewDecoder()
	second := first.Fork()
	a, err := first.V2(body)
	if err != nil {
		t.Fatal(err)
	}
	a = slices.Clone(a)
	b, err := second.V2(body)
	if err != nil || len(a) != len(samples) || len(b) != len(a) {
		t.Fatal(len(a), len(b), err)
	}
	again, err := first.V2(body)
	if err != nil {
		t.Fatal(err)
	}
	for i := range a {
		if a[i].Series != b[i].Series || a[i].Series != again[i].Series || b[i].Value != float64(i) {
			t.Fatalf("sample %d has another series", i)
		}
	}
}
