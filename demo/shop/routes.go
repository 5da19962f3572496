package shop

// routesOf returns what adds the routes of a service, nil for a name that is none.
func routesOf(name string) func(*service) {
	switch name {
	case "frontend":
		return frontend
	case "catalog":
		return catalog
	case "cart":
		return cart
	case "checkout":
		return checkout
	case "payment":
		return payment
	}
	return nil
}
