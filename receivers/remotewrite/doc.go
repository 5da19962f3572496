// Package remotewrite receives Prometheus remote-write 1.0 and 2.0 (2.0-rc.4: the start timestamp lies inside Sample
// and Histogram) over HTTP.
//
// In comes a request of either version, snappy-compressed, out goes one telemetry.Frame to an Appender, exactly as it
// came; the answer to the sender is the answer of the Appender: 204 means that the frame is safe. The version is the
// one that Content-Type names.
//
// A body is validated whole before it is kept. Series with bad labels do not fail a request: they are left out by
// whoever decodes the frame, so one bad series never stops its neighbours.
package remotewrite
