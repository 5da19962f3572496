package shop

import (
	"net/http"
	"sync"
)

// cartItems is how many products a cart holds; the oldest falls out.
const cartItems = 10

// cart keeps what each user wants to buy.
func cart(s *service) {
	var mu sync.Mutex
	carts := make(map[string][]product)
	s.handle("GET /carts/{user}", func(w http.ResponseWriter, r *http.Request) error {
		mu.Lock()
		items := carts[r.PathValue("user")]
		mu.Unlock()
		s.log.DebugContext(r.Context(), "cart read", "user", r.PathValue("user"), "items", len(items))
		return answer(w, items)
	})
	s.handle("POST /carts/{user}", func(w http.ResponseWriter, r *http.Request) error {
		var p product
		if err := s.call(r.Context(), http.MethodGet, "catalog", "/products/"+r.URL.Query().Get("product"), nil, &p); err != nil {
			return err
		}
		user := r.PathValue("user")
		mu.Lock()
		items := append([]product(nil), carts[user]...)
		items = append(items, p)
		items = items[max(0, len(items)-cartItems):]
		carts[user] = items
		mu.Unlock()
		s.metrics.outcomes.WithLabelValues("add", "added").Inc()
		s.log.InfoContext(r.Context(), "added to cart", "user", user, "product", p.ID, "items", len(items))
		return answer(w, items)
	})
}
