package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/braidhq/braid/kube"
)

// An aggregatorClient asks the query API of an aggregator.
type aggregatorClient struct {
	base, given string // given: as the user wrote it
	http        *http.Client
	token       func() (string, error)
	warnings    *warnings
}

// ask returns whatever is answered.
func (c aggregatorClient) ask(ctx context.Context, path string, params url.Values) (*http.Response, error) {
	target := c.base + path
	if len(params) > 0 {
		target += "?" + params.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, usageError{fmt.Errorf("cannot use --server %q: %w", c.given, err)}
	}
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the aggregator at %s: %w (--server or $BRAID_SERVER says where it is)", c.base, cause(err))
	}
	return resp, nil
}

// get returns the body of a successful answer.
func (c aggregatorClient) get(ctx context.Context, path string, params url.Values) (io.ReadCloser, error) {
	resp, err := c.ask(ctx, path, params)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, &answerError{resp.StatusCode, answerText(resp)}
	}
	c.warnings.print(resp.Header)
	return resp.Body, nil
}

// warnings prints what answers warn of, as kubectl does, each once.
type warnings struct {
	out io.Writer

	mu      sync.Mutex
	printed map[string]bool
}

func (w *warnings) print(h http.Header) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, value := range h.Values("Warning") {
		text, ok := strings.CutPrefix(value, "299 ")
		_, quoted, _ := strings.Cut(text, " ") // behind the agent's name
		text, err := strconv.Unquote(quoted)
		if !ok || err != nil || w.printed[text] {
			continue
		}
		if w.printed == nil {
			w.printed = map[string]bool{}
		}
		w.printed[text] = true
		fmt.Fprintf(w.out, "Warning: %s\n", printable(text))
	}
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
	switch e.status {
	case http.StatusUnauthorized:
		return fmt.Sprintf("You must be logged in to the server (%s)", e.text)
	case http.StatusForbidden:
		return e.refusal().Error()
	}
	return fmt.Sprintf("the aggregator answered %d: %s", e.status, e.text)
}

// refusal is a 403 as kubectl prints the API server's.
func (e *answerError) refusal() *kube.Error { return &kube.Error{Reason: "Forbidden", Message: e.text} }

// Unwrap gives what is printed as it was said.
func (e *answerError) Unwrap() error {
	if e.status == http.StatusForbidden {
		return e.refusal()
	}
	return nil
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
