// Package testbed gives tests the real servers that braid speaks to: [Elasticsearch] and [Prometheus].
//
// `make test` starts one of each and names them in BRAID_TEST_ELASTICSEARCH_URL and BRAID_TEST_PROMETHEUS_URL. Without
// these, BRAID_TESTBED_DIR names a directory whose servers are shared by every process that asks and left running;
// without that too, the test process starts its own and they end with it, however it ends.
//
// A server that cannot be had fails the test; nothing is skipped. Servers are shared, so a test names its own data
// streams, indices and series ([Name]). The package is help for tests: no product code imports it, and what it
// starts is built from elasticsearch/ and prometheus/ beside it and never shipped.
package testbed
