// Package listen opens braid's TCP listeners and serves HTTP on them.
//
// Nouns: a [Config] says where to listen; [Timeouts] bound how long a connection may keep the server waiting.
//
// A listener off loopback has no authentication in front of it, so [Open] refuses one until the configuration says
// "insecure: true". Connections beyond a listener's limit wait in the kernel's backlog until one of the open ones ends.
// The package never looks at what is sent over a connection.
package listen
