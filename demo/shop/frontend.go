package shop

import (
	"net/http"
	"net/url"
)

// frontend is what customers talk to; it only asks others.
func frontend(s *service) {
	s.handle("GET /{$}", func(w http.ResponseWriter, r *http.Request) error {
		var products []product
		if err := s.call(r.Context(), http.MethodGet, "catalog", "/products", r.URL.Query(), &products); err != nil {
			return err
		}
		return answer(w, map[string]any{"title": "The shop", "products": len(products)})
	})
	s.handle("GET /products/{id}", func(w http.ResponseWriter, r *http.Request) error {
		var p product
		if err := s.call(r.Context(), http.MethodGet, "catalog", "/products/"+r.PathValue("id"), nil, &p); err != nil {
			return err
		}
		return answer(w, p)
	})
	s.handle("POST /cart/{user}", func(w http.ResponseWriter, r *http.Request) error {
		query := url.Values{"product": {r.URL.Query().Get("product")}}
		var items []product
		if err := s.call(r.Context(), http.MethodPost, "cart", "/carts/"+r.PathValue("user"), query, &items); err != nil {
			return err
		}
		return answer(w, items)
	})
	s.handle("POST /checkout/{user}", func(w http.ResponseWriter, r *http.Request) error {
		query := url.Values{"card": {r.URL.Query().Get("card")}}
		var o order
		if err := s.call(r.Context(), http.MethodPost, "checkout", "/orders/"+r.PathValue("user"), query, &o); err != nil {
			return err
		}
		return answer(w, o)
	})
}
