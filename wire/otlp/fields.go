package otlp

import "github.com/braidhq/braid/wire/protobuf"

// Tags of the fields in use, from opentelemetry/proto/{collector,common,resource,logs,trace}/v1. Those of
// ResourceLogs and ResourceSpans, and of ScopeLogs and ScopeSpans, are the same.
const (
	requestResources = 1<<3 | protobuf.Bytes

	resourceResource  = 1<<3 | protobuf.Bytes
	resourceScopes    = 2<<3 | protobuf.Bytes
	resourceSchemaURL = 3<<3 | protobuf.Bytes

	scopeScope     = 1<<3 | protobuf.Bytes
	scopeRecords   = 2<<3 | protobuf.Bytes
	scopeSchemaURL = 3<<3 | protobuf.Bytes

	resourceAttributes = 1<<3 | protobuf.Bytes
	resourceDropped    = 2<<3 | protobuf.Varint
	resourceEntities   = 3<<3 | protobuf.Bytes

	libraryName       = 1<<3 | protobuf.Bytes
	libraryVersion    = 2<<3 | protobuf.Bytes
	libraryAttributes = 3<<3 | protobuf.Bytes
	libraryDropped    = 4<<3 | protobuf.Varint

	attrKey      = 1<<3 | protobuf.Bytes
	attrValue    = 2<<3 | protobuf.Bytes
	attrKeyIndex = 3<<3 | protobuf.Varint

	valueString = 1<<3 | protobuf.Bytes
	valueBool   = 2<<3 | protobuf.Varint
	valueInt    = 3<<3 | protobuf.Varint
	valueDouble = 4<<3 | protobuf.Fixed64
	valueArray  = 5<<3 | protobuf.Bytes
	valueMap    = 6<<3 | protobuf.Bytes
	valueBytes  = 7<<3 | protobuf.Bytes
	valueIndex  = 8<<3 | protobuf.Varint
	listValues  = 1<<3 | protobuf.Bytes // of ArrayValue and KeyValueList

	logTime         = 1<<3 | protobuf.Fixed64
	logSeverity     = 2<<3 | protobuf.Varint
	logSeverityText = 3<<3 | protobuf.Bytes
	logBody         = 5<<3 | protobuf.Bytes
	logAttributes   = 6<<3 | protobuf.Bytes
	logDropped      = 7<<3 | protobuf.Varint
	logFlags        = 8<<3 | protobuf.Fixed32
	logTraceID      = 9<<3 | protobuf.Bytes
	logSpanID       = 10<<3 | protobuf.Bytes
	logObserved     = 11<<3 | protobuf.Fixed64
	logEventName    = 12<<3 | protobuf.Bytes

	spanTraceID    = 1<<3 | protobuf.Bytes
	spanSpanID     = 2<<3 | protobuf.Bytes
	spanTraceState = 3<<3 | protobuf.Bytes
	spanParentID   = 4<<3 | protobuf.Bytes
	spanName       = 5<<3 | protobuf.Bytes
	spanKind       = 6<<3 | protobuf.Varint
	spanStart      = 7<<3 | protobuf.Fixed64
	spanEnd        = 8<<3 | protobuf.Fixed64
	spanAttributes = 9<<3 | protobuf.Bytes
	spanStatus     = 15<<3 | protobuf.Bytes

	statusMessage = 2<<3 | protobuf.Bytes
	statusCode    = 3<<3 | protobuf.Varint
)

// Bits of the field numbers each message knows, for [protobuf.Reader.Skip].
const (
	knownRequest  = 1 << 1
	knownScopes   = 1<<1 | 1<<2 | 1<<3 // ResourceLogs, ScopeLogs and their likes, Resource
	knownLibrary  = 1<<1 | 1<<2 | 1<<3 | 1<<4
	knownAttr     = 1<<1 | 1<<2 | 1<<3
	knownValue    = 1<<9 - 2
	knownList     = 1 << 1
	knownLog      = 1<<13 - 2 - 1<<4
	knownSpan     = 1<<17 - 2
	knownStatus   = 1<<2 | 1<<3
	maxKind       = 5
	maxStatusCode = 2
	maxSeverity   = 24
)

// What braid writes itself.
const (
	scopeName       = "braid"
	keyFileID       = "braid.file.id"
	keyFileFrom     = "braid.file.from"
	keyFileTo       = "braid.file.to"
	keyFlags        = "braid.flags"
	keySeverityText = "braid.severity_text"
	keyEventName    = "event.name"
	keyPosition     = "log.file.position"
	keyStream       = "log.iostream"
)
