package testbed_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/braidhq/braid/testbed"
)

func TestElasticsearchIsReal(t *testing.T) {
	response, err := http.Get(testbed.Elasticsearch(t))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if product := response.Header.Get("X-Elastic-Product"); product != "Elasticsearch" {
		t.Errorf("X-Elastic-Product is %q", product)
	}
	var info struct {
		Version struct {
			Number string `json:"number"`
		} `json:"version"`
	}
	if err := json.NewDecoder(response.Body).Decode(&info); err != nil || info.Version.Number == "" {
		t.Errorf("GET / names no version: %v", err)
	}
}

func TestPrometheusIsReal(t *testing.T) {
	response, err := http.Get(testbed.Prometheus(t) + "/api/v1/query?query=vector(1)")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Status string `json:"status"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Status != "success" {
		t.Errorf("query answers %q: %v", answer.Status, err)
	}
}
