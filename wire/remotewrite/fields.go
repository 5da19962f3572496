package remotewrite

import "github.com/braidhq/braid/wire/protobuf"

// Tags of prometheus.WriteRequest (1.0).
const (
	v1Series   = 1<<3 | protobuf.Bytes
	v1Metadata = 3<<3 | protobuf.Bytes

	v1SeriesLabels     = 1<<3 | protobuf.Bytes
	v1SeriesSamples    = 2<<3 | protobuf.Bytes
	v1SeriesExemplars  = 3<<3 | protobuf.Bytes
	v1SeriesHistograms = 4<<3 | protobuf.Bytes

	v1LabelName  = 1<<3 | protobuf.Bytes
	v1LabelValue = 2<<3 | protobuf.Bytes

	v1MetadataType   = 1<<3 | protobuf.Varint
	v1MetadataFamily = 2<<3 | protobuf.Bytes
	v1MetadataHelp   = 4<<3 | protobuf.Bytes
	v1MetadataUnit   = 5<<3 | protobuf.Bytes
)

// Tags of io.prometheus.write.v2.Request (2.0-rc.4).
const (
	v2Symbols = 4<<3 | protobuf.Bytes
	v2Series  = 5<<3 | protobuf.Bytes

	v2SeriesLabels     = 1<<3 | protobuf.Bytes // packed
	v2SeriesLabel      = 1<<3 | protobuf.Varint
	v2SeriesSamples    = 2<<3 | protobuf.Bytes
	v2SeriesHistograms = 3<<3 | protobuf.Bytes
	v2SeriesExemplars  = 4<<3 | protobuf.Bytes
	v2SeriesMetadata   = 5<<3 | protobuf.Bytes

	v2MetadataType = 1<<3 | protobuf.Varint
	v2MetadataHelp = 3<<3 | protobuf.Varint
	v2MetadataUnit = 4<<3 | protobuf.Varint
)

// Tags of the messages both versions have. Only 2.0 knows start timestamps.
const (
	sampleValue = 1<<3 | protobuf.Fixed64
	sampleTime  = 2<<3 | protobuf.Varint
	sampleStart = 3<<3 | protobuf.Varint

	exemplarLabels = 1<<3 | protobuf.Bytes  // 1.0: a Label; 2.0: packed references
	exemplarLabel  = 1<<3 | protobuf.Varint // 2.0 only
	exemplarValue  = 2<<3 | protobuf.Fixed64
	exemplarTime   = 3<<3 | protobuf.Varint

	histogramCountInt       = 1<<3 | protobuf.Varint
	histogramCountFloat     = 2<<3 | protobuf.Fixed64
	histogramSum            = 3<<3 | protobuf.Fixed64
	histogramSchema         = 4<<3 | protobuf.Varint
	histogramZeroThreshold  = 5<<3 | protobuf.Fixed64
	histogramZeroInt        = 6<<3 | protobuf.Varint
	histogramZeroFloat      = 7<<3 | protobuf.Fixed64
	histogramNegativeSpans  = 8<<3 | protobuf.Bytes
	histogramNegativeDeltas = 9<<3 | protobuf.Bytes
	histogramNegativeCounts = 10<<3 | protobuf.Bytes
	histogramPositiveSpans  = 11<<3 | protobuf.Bytes
	histogramPositiveDeltas = 12<<3 | protobuf.Bytes
	histogramPositiveCounts = 13<<3 | protobuf.Bytes
	histogramResetHint      = 14<<3 | protobuf.Varint
	histogramTime           = 15<<3 | protobuf.Varint
	histogramCustomValues   = 16<<3 | protobuf.Bytes
	histogramStart          = 17<<3 | protobuf.Varint

	spanOffset = 1<<3 | protobuf.Varint
	spanLength = 2<<3 | protobuf.Varint
)

// Bits of the field numbers each message knows, for [protobuf.Reader.Skip].
const (
	knownV1Request  = 1<<1 | 1<<3
	knownV1Series   = 1<<1 | 1<<2 | 1<<3 | 1<<4
	knownV1Label    = 1<<1 | 1<<2
	knownV1Metadata = 1<<1 | 1<<2 | 1<<4 | 1<<5
	knownV2Request  = 1<<4 | 1<<5
	knownV2Series   = 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5
	knownV2Metadata = 1<<1 | 1<<3 | 1<<4

	knownV1Sample    = 1<<1 | 1<<2
	knownV2Sample    = knownV1Sample | 1<<3
	knownExemplar    = 1<<1 | 1<<2 | 1<<3
	knownV1Histogram = 1<<17 - 2
	knownV2Histogram = knownV1Histogram | 1<<17
	knownSpan        = 1<<1 | 1<<2
)
