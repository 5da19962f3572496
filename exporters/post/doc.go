// Package post sends one body by HTTP POST and reads the answer: what every pushing exporter does alike.
//
// Nouns: a [Request] is what to send, an [Answer] what came back.
//
// A body is only lent: once [Do] has returned, whatever the transport still does, nothing reads it any more. The package
// does not judge an answer; each protocol has its own opinion of what may be tried again.
package post
