package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/braidhq/braid/demo/reckon"
)

// announce prints what runs where, and what to try.
func (s *site) announce(w io.Writer, executable, errorTrace string) {
	braid := shown(executable)
	server := "http://" + s.aggregatorWeb
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "WHAT\tWHERE\tDOES\n")
	does := map[string]string{
		"frontend": "asks catalog, cart, checkout", "catalog": "long lines, cold products", "cart": "asks catalog",
		"checkout": "asks cart, payment", "payment": "declines, is slow, breaks; logfmt and stack traces on stderr",
	}
	for _, self := range s.topology.Services {
		fmt.Fprintf(table, "%s\thttp://%s\t%s\n", self.Name, self.Address, does[self.Name])
	}
	fmt.Fprintf(table, "agent\thttp://%s\ttails %s, scrapes all, takes OTLP at %s\n", s.agentWeb, s.pods(), s.agentHTTP)
	fmt.Fprintf(table, "aggregator\t%s\tstores in %s\n", server, s.path("data", "aggregator"))
	_ = table.Flush()
	fmt.Fprintf(w, "\nSampling keeps traces with an error or a span over %s, those that error lines and scraped exemplars name, and %g %%\n"+
		"of the others; metrics are made of all spans.\n", sampleSlow, 100*sampleShare)

	fmt.Fprintf(w, "\nWorth trying, in another terminal:\n\n")
	for _, command := range s.commands(braid, server, errorTrace) {
		fmt.Fprintf(w, "  %s\n", command)
	}
	fmt.Fprintln(w)
}

// commands are the five that the announcement shows.
func (s *site) commands(braid, server, errorTrace string) []string {
	return []string{
		fmt.Sprintf("%s logs --server %s -n %s -f --prefix", braid, server, namespace),
		fmt.Sprintf("%s trace --server %s %s", braid, server, errorTrace),
		fmt.Sprintf("%s logs --server %s -n %s --trace %s", braid, server, namespace, errorTrace),
		fmt.Sprintf("curl -sG %s/api/v1/query --data-urlencode 'query=sum by (service) (rate(http_request_duration_seconds_count[1m]))'", server),
		fmt.Sprintf("%s check %s", braid, s.path("agent.yaml")),
	}
}

// shown is a path as one would type it here.
func shown(executable string) string {
	here, err := os.Getwd()
	if err != nil {
		return executable
	}
	relative, err := filepath.Rel(here, executable)
	if err != nil || strings.HasPrefix(relative, "..") {
		return executable
	}
	if !strings.ContainsRune(relative, filepath.Separator) {
		relative = "." + string(filepath.Separator) + relative
	}
	return relative
}

// wholeAfter is for how long a trace must not have grown to be taken for whole: its services export each on its own.
const wholeAfter = time.Second

// waitForErrorTrace returns the id of a failed request whose trace can be looked at, or of one that will be before
// long, once ctx ends.
func waitForErrorTrace(ctx context.Context, l *load, api *reckon.API) string {
	poll := time.NewTicker(200 * time.Millisecond)
	defer poll.Stop()
	id, stored, since := "", 0, time.Now()
	for {
		if id == "" {
			id = l.errorTrace()
		}
		if id != "" {
			spans, err := api.Trace(ctx, id)
			if err == nil && len(spans) != stored {
				stored, since = len(spans), time.Now()
			}
			if stored > 0 && time.Since(since) >= wholeAfter {
				return id
			}
		}
		select {
		case <-ctx.Done():
			return id
		case <-poll.C:
		}
	}
}
