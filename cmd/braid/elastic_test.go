package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// elastic asks a real Elasticsearch as a user would: over its own API.
type elastic struct{ url string }

func (e elastic) do(t testing.TB, method, path, body string, into any) {
	t.Helper()
	if err := e.try(method, path, body, into); err != nil {
		t.Fatal(err)
	}
}

func (e elastic) try(method, path, body string, into any) error {
	req, err := http.NewRequest(method, e.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %.500s", method, path, resp.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// count refreshes a data stream and returns its number of documents; 0 while it does not exist.
func (e elastic) count(stream string) (int, error) {
	var answer struct{ Count int }
	if err := e.try(http.MethodPost, "/"+stream+"/_refresh?ignore_unavailable=true", "", nil); err != nil {
		return 0, err
	}
	err := e.try(http.MethodGet, "/"+stream+"/_count?ignore_unavailable=true", "", &answer)
	return answer.Count, err
}

// A document is one hit.
type document struct {
	ID     string          `json:"_id"`
	Index  string          `json:"_index"`
	Source json.RawMessage `json:"_source"`
	Sort   json.RawMessage `json:"sort"`
}

// each calls yield with every document of a data stream, page by page of one point in time.
func (e elastic) each(t testing.TB, stream, query string, yield func(document)) {
	t.Helper()
	var pit struct{ ID string }
	e.do(t, http.MethodPost, "/"+stream+"/_refresh", "", nil)
	e.do(t, http.MethodPost, "/"+stream+"/_pit?keep_alive=5m", "", &pit)
	defer e.do(t, http.MethodDelete, "/_pit", fmt.Sprintf(`{"id":%q}`, pit.ID), nil)
	after := ""
	for {
		var page struct {
			Hits struct{ Hits []document }
		}
		e.do(t, http.MethodPost, "/_search", fmt.Sprintf(
			`{"size":10000,"query":%s,"pit":{"id":%q,"keep_alive":"5m"},"sort":[{"_shard_doc":"asc"}]%s,"track_total_hits":false}`, query, pit.ID, after), &page)
		for _, hit := range page.Hits.Hits {
			yield(hit)
		}
		if len(page.Hits.Hits) < 10000 {
			return
		}
		after = fmt.Sprintf(`,"search_after":%s`, page.Hits.Hits[len(page.Hits.Hits)-1].Sort)
	}
}
