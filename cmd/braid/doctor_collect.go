package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"github.com/braidhq/braid/config"
	"github.com/braidhq/braid/diagnose"
)

// Names of exhibits, in a bundle the files' names.
const (
	firstName    = "metrics-1.txt"
	secondName   = "metrics-2.txt"
	healthyName  = "healthy.txt"
	readyName    = "ready.txt"
	aheadName    = "samples-ahead.json"
	findingsName = "findings.txt"
)

// maxExhibit bounds what is read of one answer or file.
const maxExhibit = 256 << 20

// An exhibit is one answer of the process that is looked at.
type exhibit struct {
	Name   string    `json:"name"`
	Path   string    `json:"path,omitempty"`
	Status int       `json:"status,omitempty"` // 0: none came
	Error  string    `json:"error,omitempty"`
	Taken  time.Time `json:"taken"`           // in the middle of the request
	Server time.Time `json:"server,omitzero"` // the Date of the answer
	body   []byte
}

// A caseFile is all that findings are made of.
type caseFile struct {
	Format   int        `json:"format"` // bundleFormat
	Created  time.Time  `json:"created"`
	Version  string     `json:"braid_doctor_version"`
	Server   string     `json:"server"`
	Exhibits []*exhibit `json:"exhibits"`
}

func (e *caseFile) add(x *exhibit) { e.Exhibits = append(e.Exhibits, x) }

// get returns an exhibit, an empty one if it is not there.
func (e *caseFile) get(name string) *exhibit {
	for _, x := range e.Exhibits {
		if x.Name == name {
			return x
		}
	}
	return &exhibit{Name: name}
}

// collect asks the process all there is to ask.
func (o *doctorOptions) collect(cmd *cobra.Command) (*caseFile, error) {
	client, err := o.client(cmd)
	if err != nil {
		return nil, err
	}
	ctx := cmd.Context()
	e := &caseFile{Format: bundleFormat, Created: o.now().UTC(), Version: version, Server: config.RedactURLs(client.base)}
	for i, name := range []string{firstName, secondName} {
		if i > 0 {
			if err := o.pause(ctx, o.interval); err != nil {
				return nil, err
			}
		}
		x, err := o.ask(ctx, client, name, "/metrics", nil)
		if err != nil {
			return nil, err
		}
		if x.Status != http.StatusOK {
			return nil, &answerError{x.Status, answerText(&http.Response{StatusCode: x.Status, Body: io.NopCloser(bytes.NewReader(x.body))})}
		}
		e.add(x)
	}
	if err := o.optional(ctx, client, e); err != nil {
		return nil, err
	}
	return e, o.addConfigs(e)
}

// optional asks what may be missing: an agent has not all of it, and not everybody may see the rest.
func (o *doctorOptions) optional(ctx context.Context, client aggregatorClient, e *caseFile) error {
	at := e.get(secondName).Server
	if at.IsZero() {
		at = e.get(secondName).Taken
	}
	wanted := []struct {
		name, path string
		params     url.Values
		bundle     bool
	}{
		{healthyName, "/-/healthy", nil, false},
		{readyName, "/-/ready", nil, false},
		{aheadName, "/api/v1/query", url.Values{"query": {aheadQuery}, "time": {strconv.FormatInt(at.Add(aheadUpTo+aheadFrom).Unix(), 10)}}, false},
		{"metrics-spans.txt", "/metrics/spans", nil, true},
		{"goroutines.txt", "/debug/pprof/goroutine", url.Values{"debug": {"1"}}, true},
		{"goroutines.pb.gz", "/debug/pprof/goroutine", nil, true},
		{"heap.pb.gz", "/debug/pprof/heap", nil, true},
	}
	for _, w := range wanted {
		if w.bundle && o.writeBundle == "" {
			continue
		}
		x, err := o.ask(ctx, client, w.name, w.path, w.params)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			x = &exhibit{Name: w.name, Path: w.path, Taken: o.now().UTC(), Error: config.RedactURLs(err.Error())}
		}
		e.add(x)
	}
	return nil
}

func (o *doctorOptions) ask(ctx context.Context, client aggregatorClient, name, path string, params url.Values) (*exhibit, error) {
	begin := o.now()
	resp, err := client.ask(ctx, path, params)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	x := &exhibit{Name: name, Path: path, Status: resp.StatusCode, Taken: begin.Add(o.now().Sub(begin) / 2).UTC()}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		x.Server = date.UTC()
	}
	x.body, err = io.ReadAll(io.LimitReader(resp.Body, maxExhibit+1))
	if err == nil && len(x.body) > maxExhibit {
		err = fmt.Errorf("the answer of %s is too large", path)
	}
	return x, err
}

func (o *doctorOptions) addConfigs(e *caseFile) error {
	for i, file := range o.configs {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("cannot use --config: %w", err)
		}
		shown, err := config.Redact(text)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		e.add(&exhibit{Name: fmt.Sprintf("config-%d-%s", i+1, filepath.Base(file)), Taken: o.now().UTC(), body: shown})
	}
	return nil
}

// aheadQuery, asked for a time of aheadFrom and aheadUpTo from now, counts samples of scrapes that lie between the two
// ahead of the clock.
const (
	aheadQuery = `sum by (instance) (count_over_time(up[1d])) > 0`
	aheadUpTo  = 24 * time.Hour
	aheadFrom  = time.Minute
)

func (e *caseFile) input() (*diagnose.Input, error) {
	in := &diagnose.Input{Healthy: e.answer(healthyName), Ready: e.answer(readyName)}
	for name, into := range map[string]*diagnose.Reading{firstName: &in.First, secondName: &in.Second} {
		x := e.get(name)
		page, err := diagnose.Parse(bytes.NewReader(x.body))
		if err != nil {
			return nil, err
		}
		if v, _ := diagnose.Version(page); v == "" {
			return nil, errors.New("cannot find braid: its /metrics has no braid_build_info")
		}
		*into = diagnose.Reading{Page: page, Taken: x.Taken, Server: x.Server}
	}
	if x := e.get(aheadName); x.Status == http.StatusOK {
		var answer struct {
			Data struct{ Result model.Vector }
		}
		if err := json.Unmarshal(x.body, &answer); err != nil {
			return nil, fmt.Errorf("cannot read the answer of %s: %w", x.Path, err)
		}
		in.Ahead = map[string]float64{}
		for _, s := range answer.Data.Result {
			if v := float64(s.Value); v > 0 && !math.IsNaN(v) {
				in.Ahead[cmp.Or(string(s.Metric["instance"]), "(no instance)")] = v
			}
		}
	}
	return in, nil
}

func (e *caseFile) answer(name string) diagnose.Answer {
	x := e.get(name)
	return diagnose.Answer{Status: x.Status, Text: string(x.body)}
}
