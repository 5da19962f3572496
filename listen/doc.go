// Package listen opens braid's TCP listeners, does their TLS, finds out who sends a request, and serves HTTP.
//
// Nouns: a [Config] says where to listen and who is let in; a [Listener] is the open port; an [Identity] is who sent a
// request, a [Refusal] why a request was not let in; [Timeouts] bound how long a connection may keep the server waiting.
//
// In: connections. Out: requests, with their Identity in the context ([IdentityOf]). What an identity may read is not
// decided here.
//
// On an address that other machines can reach, [Open] refuses to listen without both TLS and authentication until the
// configuration says "insecure: true". Certificate and token files are read again when they change, and a broken one
// leaves the one before in its place. Connections beyond a listener's limit wait in the kernel's backlog until one of the
// open ones ends. The package never looks at a body, and never logs.
package listen
