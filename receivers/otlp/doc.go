// Package otlp receives OTLP logs and traces over HTTP and gRPC.
//
// In comes an Export*ServiceRequest (OTLP/HTTP in protobuf or JSON, OTLP/gRPC), out goes one telemetry.Frame to an
// Appender, and the answer to the sender is the answer of the Appender: success means that the frame is safe.
//
// Noun: a [Receiver] is both servers over one Appender and one set of bounds.
//
// Where somebody observes what is appended, checking a body is decoding it, and the frame goes along so: see
// [telemetry.Decoded]. Elsewhere it is checked without building anything.
//
// A protobuf body is validated whole and then kept exactly as it came, compression included, so nothing is encoded
// again on the way and byte-identical retries are seen as such. JSON is translated to protobuf and compressed first.
// A gRPC message is kept as gRPC hands it over: decompressed. The package follows the OTLP specification 1.9
// (status codes, google.rpc.Status bodies, RetryInfo). It takes no metrics: those come by remote-write or by scraping.
package otlp
