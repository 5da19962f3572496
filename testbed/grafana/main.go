// Command grafana holds dashboards against Grafana's own schema: its types, which know no other keys than Grafana does,
// for dashboards, panels, and the queries of its data sources. It is a module of its own, so that braid's has no part in
// what it needs.
//
//	go run . DASHBOARD.json...
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/elasticsearch"
	"github.com/grafana/grafana-foundation-sdk/go/logs"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/text"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	known := cog.NewRuntime() // the process has one; with all that could be registered, compiling takes a minute
	for _, kind := range []variants.PanelcfgConfig{
		logs.VariantConfig(), stat.VariantConfig(), table.VariantConfig(), text.VariantConfig(), timeseries.VariantConfig(),
	} {
		known.RegisterPanelcfgVariant(kind)
	}
	for _, source := range []variants.DataqueryConfig{elasticsearch.VariantConfig(), prometheus.VariantConfig()} {
		known.RegisterDataqueryVariant(source)
	}
	bad := false
	for _, file := range os.Args[1:] {
		if err := check(file); err != nil {
			bad = true
			fmt.Fprintf(os.Stderr, "%s: %v\n", file, err)
		}
	}
	if bad || len(os.Args) == 1 {
		os.Exit(1)
	}
}

func check(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var d dashboard.Dashboard
	err = d.UnmarshalJSONStrict(text)
	var problems cog.BuildErrors // an empty list is how it says that there are none
	if errors.As(err, &problems) && len(problems) == 0 {
		err = nil
	}
	if err != nil {
		return err
	}
	return d.Validate()
}
