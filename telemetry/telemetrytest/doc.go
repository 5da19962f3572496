// Package telemetrytest holds the conformance suites of telemetry's interfaces: what an implementation promises by being
// one, as tests. [RunSink] is the suite of telemetry.Sink.
//
// In: a [Fixture], the implementation with a way to look into it and to make it fail. Out: failures of the test.
package telemetrytest
