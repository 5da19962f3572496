// Package elasticsearch stores logs and spans in Elasticsearch data streams, each exactly once, and reads them back.
//
// Nouns. An [Exporter] is a telemetry.Sink. It has one lane per data stream (logs, traces, dead letter); a lane turns
// records into items of a chunk, and a chunk into one bulk request at a time. An item's verdict is what Elasticsearch
// said of it. A record is in doubt when it may have been stored already: a bulk failed or its answer was lost, or the
// process was restarted. To settle a doubt is to ask. A [Reader] answers log queries and traces.
//
// In come batches whose records have a UID; out goes action "create" with _id = UID (of a span: trace id, span id, kind
// and start). A data stream knows ids per backing index only, so "create" alone would store a record twice when its
// data stream rolls over between two attempts. Therefore nothing in doubt is sent again before it is settled: wait until
// no bulk of ours runs in the cluster (_tasks, by our X-Opaque-Id), look the ids up by realtime _mget in every backing
// index they may be in, and send only what is missing. Sending again to an unchanged write index and counting on 409
// was rejected: the data stream may roll over between the look and the send.
//
// Two facts bound that work, and both are on disk before the first bulk they speak of is sent (es-state in StateDir): up
// to which receive time records have been sent, and since which receive time the write index has been which. The
// queue's receive times never decrease, so a record received after the first was never sent, and one received after
// the second cannot be in an older index. What remains is a bulk that reaches Elasticsearch only after we saw no task
// of ours: it does harm only if the data stream also rolls over just then.
//
// A document that Elasticsearch refuses (400, or 413 alone) is tried once more with its attributes as one plain text,
// and then goes to the dead-letter data stream with the reason and the original; its neighbours are not held up. What
// is refused for now (429, 5xx) is sent again alone, a few times, and then the call fails. Nothing is dropped.
//
// The user needs the cluster privileges monitor and manage_index_templates, and on the data streams create_index,
// create_doc, read and view_index_metadata.
//
// The package never edits a batch, never deletes or updates a document, and uses neither ILM nor ingest pipelines.
package elasticsearch
