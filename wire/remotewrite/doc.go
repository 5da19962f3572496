// Package remotewrite turns Prometheus remote-write 1.0 and 2.0 (2.0-rc.4) bytes into samples and back.
//
// Nouns: a body is an uncompressed prometheus.WriteRequest (1.0) or io.prometheus.write.v2.Request (2.0). A [Decoder]
// makes [telemetry.Sample] values of it, whose Series are interned; an [Encoder], or [AppendV1] and [AppendV2], write
// bodies; [Count] checks one and says what a receiver has to report as written.
//
// One bad series does not fail a body. A series is left out if a reference lies outside the symbol table, if a label
// name is empty, repeated or not UTF-8, a value is not UTF-8, or there is no metric name; a histogram, if Prometheus
// would refuse it; an exemplar, if its labels are bad likewise or if the body has no sample of its series to carry it.
// All of them are counted. Labels in another order than the name's are sorted, labels of an empty value left out.
//
// A body as a whole is refused when its structure is damaged (lengths, wire types, groups, varints), when it is of the
// other protocol version, when 2.0 symbols do not start with the empty one, and when it holds more than 2^21 samples.
//
// 1.0 cannot carry start timestamps; its metadata is per metric family, and is joined with the series of the body by
// name. In 2.0 exemplars belong to a series, in a Sample to it: they are given to the last sample of their series.
//
// The package does no I/O, starts nothing, and knows nothing of compression or HTTP.
package remotewrite
