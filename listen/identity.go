package listen

import "context"

// An Identity is who sent a request, as far as the listener could tell. It has the fields of Kubernetes' UserInfo.
type Identity struct {
	Name   string
	UID    string
	Groups []string
	Extra  map[string][]string
}

type identityKey struct{}

// WithIdentity returns a context of a request from who.
func WithIdentity(ctx context.Context, who Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, who)
}

// IdentityOf returns who sent the request of ctx; false: its listener did not ask.
func IdentityOf(ctx context.Context) (Identity, bool) {
	who, ok := ctx.Value(identityKey{}).(Identity)
	return who, ok
}
