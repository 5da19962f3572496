package shop

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The catalog knows this many products; those from coldProduct on are slow to find.
const (
	Products    = 40
	coldProduct = 38
)

type product struct {
	ID    int    `json:"id"`
	Name  string `json:"name"`
	Cents int    `json:"cents"`
}

func productOf(id int) product {
	return product{ID: id, Name: fmt.Sprintf("Braided rope, %d mm", id), Cents: 100 + 37*id}
}

// catalog lists products and finds one. GET /products?snapshot=1 also logs a line of about 60 KiB, which every
// container runtime splits.
func catalog(s *service) {
	s.handle("GET /products", func(w http.ResponseWriter, r *http.Request) error {
		if err := s.work(r.Context(), "list products", time.Millisecond); err != nil {
			return err
		}
		all := make([]product, 0, Products)
		for id := range Products {
			all = append(all, productOf(id))
		}
		s.log.DebugContext(r.Context(), "products listed", "count", len(all))
		if r.URL.Query().Get("snapshot") != "" {
			s.log.InfoContext(r.Context(), "catalogue snapshot", "raw", strings.Repeat(fmt.Sprintf("%+v ", all), 33))
		}
		return answer(w, all)
	})
	s.handle("GET /products/{id}", func(w http.ResponseWriter, r *http.Request) error {
		id, err := strconv.Atoi(r.PathValue("id"))
		if err != nil || id < 0 || id >= Products {
			s.metrics.outcomes.WithLabelValues("find", "unknown").Inc()
			return &failure{http.StatusNotFound, fmt.Sprintf("there is no product %q", r.PathValue("id"))}
		}
		took := 500 * time.Microsecond
		if id >= coldProduct {
			took = 250 * time.Millisecond
			s.log.WarnContext(r.Context(), "cold product, reading from the archive", "product", id)
		}
		if err := s.work(r.Context(), "find product", took); err != nil {
			return err
		}
		s.metrics.outcomes.WithLabelValues("find", "found").Inc()
		return answer(w, productOf(id))
	})
}
