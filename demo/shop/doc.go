// Package shop is the demo's workload: five small HTTP services that call each other over loopback.
//
//	customers → frontend → catalog
//	                     → cart     → catalog
//	                     → checkout → cart, payment
//
// Nouns: a [Topology] says where every service listens, which pod it plays and where its ledger lies; it is one JSON
// file that all five are started with. A fate is what a customer's request asks for by its content (a card that is
// declined, a product that is slow to find), so that the services themselves roll no dice.
//
// In: HTTP requests. Out: spans by the OpenTelemetry SDK to the agent, /metrics by client_golang, JSON lines on stdout,
// and of payment logfmt, plain lines and stack traces on stderr. Every line, ended span and served /metrics body is
// entered in the service's ledger at the moment it leaves, and every span once more when the agent has acknowledged it.
//
// Nothing here knows braid: the services are ordinary instrumented programs, and what they lose, braid has lost.
package shop
