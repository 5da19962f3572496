package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/braidhq/braid/kube"
)

// An aggregatorClient asks the query API of an aggregator.
type aggregatorClient struct{ base string }

// get returns the body of a successful answer.
func (c aggregatorClient) get(ctx context.Context, path string, params url.Values) (io.ReadCloser, error) {
	base := strings.TrimRight(c.base, "/")
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	target := base + path
	if len(params) > 0 {
		target += "?" + params.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, usageError{fmt.Errorf("cannot use --server %q: %w", c.base, err)}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the aggregator at %s: %w (--server or $BRAID_SERVER says where it is)", base, cause(err))
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, &answerError{resp.StatusCode, answerText(resp)}
	}
	return resp.Body, nil
}

// cause takes method and URL off an error of the HTTP client, which the caller says better.
func cause(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// An answerError is an answer that is not 200.
type answerError struct {
	status int
	text   string
}

func (e *answerError) Error() string {
	return fmt.Sprintf("the aggregator answered %d: %s", e.status, e.text)
}

// answerText returns what a failed answer says: the field error of a JSON object, or the text.
func answerText(resp *http.Response) string {
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	var doc struct {
		Error string `json:"error"`
	}
	text := strings.TrimSpace(string(body))
	if json.Unmarshal(body, &doc) == nil && doc.Error != "" {
		text = doc.Error
	}
	if text == "" || err != nil {
		text = http.StatusText(resp.StatusCode)
	}
	return text
}

// runServer prints what an aggregator has stored, and with -f what it stores from now on.
func (o *logsOptions) runServer(cmd *cobra.Command, pods *kube.Pods, p *linePrinter) error {
	s := &logStream{client: aggregatorClient{o.server}, params: o.params(), printer: p, errOut: cmd.ErrOrStderr()}
	if err := o.chooseOnServer(cmd, pods, s); err != nil {
		return err
	}
	p.merged = true
	if o.lastLines == 0 { // which the query API takes for all of them
		if !o.follow {
			return nil
		}
		s.params.Del("tail")
		s.params.Set("from", formatTime(max(o.fromUnixNano, time.Now().UnixNano())))
	}
	if o.follow {
		return s.follow(cmd.Context())
	}
	if err := s.once(cmd.Context()); err != nil {
		return err
	}
	if s.lines == 0 {
		return o.nothing("lines")
	}
	return nil
}

// chooseOnServer says which pods and containers are wanted. With --pods these are the ones that kubectl would choose,
// and those that have no log to show are told as kubectl tells them. Without, the name is all there is.
func (o *logsOptions) chooseOnServer(cmd *cobra.Command, pods *kube.Pods, s *logStream) error {
	if pods == nil {
		name, err := o.podArg()
		if name != "" {
			s.params.Set("pod", name)
		}
		if o.container != "" {
			s.params.Set("container", o.container)
		}
		return err
	}
	targets, err := o.selectFromPods(pods, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	s.wanted = make(map[string]bool)
	names, containers := make(map[string]bool), make(map[string]bool)
	for _, t := range targets {
		if _, err := t.state.Attempt(o.previous); err != nil {
			if !o.ignoreErrors && !o.lenient {
				return err
			}
			printError(cmd, err)
			continue
		}
		if !names[t.pod] {
			s.params.Add("pod", t.pod)
		}
		names[t.pod], containers[t.container] = true, true
		s.wanted[t.namespace+"/"+t.pod+"/"+t.container] = true
	}
	if len(names) == 0 {
		return o.nothing("lines")
	}
	if len(containers) == 1 {
		for name := range containers {
			s.params.Set("container", name)
		}
	}
	return nil
}
