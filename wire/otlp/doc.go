// Package otlp turns OTLP protobuf bytes (opentelemetry-proto 1.x, logs and traces) into batches and back.
//
// Nouns: a body is an ExportLogsServiceRequest or ExportTraceServiceRequest, uncompressed. A [Decoder] makes one
// [telemetry.Batch] of each non-empty ScopeLogs or ScopeSpans; records alias the body, resources are interned.
// [AppendLogs] and [AppendSpans] write bodies; [CountLogs] and [CountSpans] check a body without building anything:
// whatever they accept, the Decoder accepts, and the other way round. quick_span.go and quick.go are short cuts for the forms
// that nearly all bodies have; they say what the general walk says, or leave it to that.
//
// What braid adds on the wire, and takes back when it decodes: the scope attributes braid.file.id, braid.file.from and
// braid.file.to (a Batch's FileID, From and To), and the record attributes log.file.position, log.iostream and
// braid.flags. Resource attributes of the semantic conventions are the fields of [telemetry.Resource].
//
// Strict: lengths, wire types and the depth of values are checked everywhere, groups are refused, unknown fields are
// skipped. Lenient: an id of the wrong length is no id, an unknown enum value is the unspecified one, text need not be
// UTF-8 (on the way out such text becomes bytes, which OTLP allows). Repeated scalar fields: the last wins. Repeated
// message fields that are not lists are merged, as protobuf wants it; of a oneof the last wins.
//
// What a decoded batch does not hold: schema URLs, counts of dropped attributes, entity references, and a log record's
// trace flags. A severity text that says more than the number is kept as attribute braid.severity_text, an event name
// as attribute event.name. A span's trace state, events, links and flags are in its Raw bytes only. Arrays and maps are
// kept as JSON, in which bytes are base64, and NaN and infinities are strings. Frames passed on unchanged keep it all.
//
// The package does no I/O, starts nothing, and knows nothing of compression or HTTP.
package otlp
