package elasticsearch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	elastic "github.com/elastic/go-elasticsearch/v8"

	"github.com/braidhq/braid/telemetry"
)

// requestTimeout ends a request that nobody answers. What it did is then in doubt.
const requestTimeout = 2 * time.Minute

// A client speaks to the cluster. It never sends a request twice by itself: whether that is safe is the lane's to say.
type client struct{ base *elastic.BaseClient }

func newClient(o Options) (*client, error) {
	base, err := elastic.NewBaseClient(elastic.Config{
		Addresses:    o.URLs,
		Username:     o.Username,
		Password:     o.Password,
		APIKey:       o.APIKey,
		Transport:    o.Transport,
		DisableRetry: true,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot make an elasticsearch client: %w", err)
	}
	return &client{base}, nil
}

// A request is one call. Path elements that are names must be escaped by the caller ([name]).
type request struct {
	method, path string
	body         []byte
	contentType  string // default application/json
	encoding     string
	opaqueID     string
}

// name escapes an index name or an id for a path.
func name(s string) string { return url.PathEscape(s) }

// do sends r and returns the answer, whatever its status. sent, if not nil, is called between the answer's header and
// its body.
func (c *client) do(ctx context.Context, r request, sent func()) (status int, header http.Header, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, r.path, bytes.NewReader(r.body))
	if err != nil {
		return 0, nil, nil, err
	}
	if len(r.body) > 0 {
		setDefault(&r.contentType, "application/json")
		req.Header.Set("Content-Type", r.contentType)
	} else {
		req.Body, req.GetBody, req.ContentLength = nil, nil, 0
	}
	if r.encoding != "" {
		req.Header.Set("Content-Encoding", r.encoding)
	}
	if r.opaqueID != "" {
		req.Header.Set("X-Opaque-Id", r.opaqueID)
	}
	response, err := c.base.Perform(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()
	if sent != nil {
		sent()
	}
	body, err = io.ReadAll(response.Body)
	if err != nil {
		return 0, nil, nil, err
	}
	return response.StatusCode, response.Header, body, nil
}

// call is do for requests of which only 2xx is good; answer, if not nil, takes the JSON.
func (c *client) call(ctx context.Context, r request, answer any) error {
	status, header, body, err := c.do(ctx, r, nil)
	if err != nil {
		return err
	}
	if status < 200 || status > 299 {
		return statusError(r, status, header, body)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("cannot read the answer to %s %s: %w", r.method, r.path, err)
	}
	return nil
}

// An answerError is an answer other than 2xx.
type answerError struct {
	status       int
	kind, reason string
	what         string
}

func (e *answerError) Error() string {
	text := fmt.Sprintf("elasticsearch answers %d to %s", e.status, e.what)
	if e.kind != "" {
		text += ": " + e.kind + ": " + e.reason
	}
	return text
}

// statusError reads the error that Elasticsearch gives; a 429 and whatever names a time to come again is throttling.
func statusError(r request, status int, header http.Header, body []byte) error {
	e := &answerError{status: status, what: r.method + " " + strings.SplitN(r.path, "?", 2)[0]}
	var answer struct {
		Error struct {
			Type   string `json:"type"`
			Reason string `json:"reason"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &answer) == nil { // a proxy's page is no JSON; the status says enough
		e.kind, e.reason = answer.Error.Type, answer.Error.Reason
	}
	seconds, err := strconv.Atoi(header.Get("Retry-After"))
	if status == http.StatusTooManyRequests || err == nil && seconds > 0 {
		return telemetry.Throttled(e, time.Duration(max(seconds, 0))*time.Second)
	}
	return e
}

func isStatus(err error, status int) bool {
	var e *answerError
	return errors.As(err, &e) && e.status == status
}
