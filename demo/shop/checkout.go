package shop

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

type order struct {
	User  string `json:"user"`
	Items int    `json:"items"`
	Cents int    `json:"cents"`
}

// checkout turns a cart into an order, if payment agrees.
func checkout(s *service) {
	s.handle("POST /orders/{user}", func(w http.ResponseWriter, r *http.Request) error {
		user := r.PathValue("user")
		var items []product
		if err := s.call(r.Context(), http.MethodGet, "cart", "/carts/"+user, nil, &items); err != nil {
			return err
		}
		o := order{User: user, Items: len(items), Cents: 499}
		for _, p := range items {
			o.Cents += p.Cents
		}
		query := url.Values{"card": {r.URL.Query().Get("card")}, "cents": {strconv.Itoa(o.Cents)}}
		if err := s.call(r.Context(), http.MethodPost, "payment", "/charges", query, nil); err != nil {
			s.metrics.outcomes.WithLabelValues("order", "failed").Inc()
			return fmt.Errorf("cannot place the order of %s: %w", user, err)
		}
		s.metrics.outcomes.WithLabelValues("order", "placed").Inc()
		s.log.InfoContext(r.Context(), "order placed", "user", user, "items", o.Items, "cents", o.Cents)
		return answer(w, o)
	})
}
