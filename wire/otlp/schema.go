package otlp

import "github.com/braidhq/braid/wire/protobuf"

// lastField stands for all field numbers above those of any OTLP message in use; it is never known.
const lastField = 17

// A message describes the fields of a protobuf message by number.
type message [lastField + 1]field

// A field describes one field. Those with sub are messages.
type field struct {
	known bool
	wire  protobuf.Tag
	sub   *message
	role  role
}

// A role says what a field counts as.
type role uint8

const (
	plain   role = iota
	record       // a log record or span
	element      // a scope; an attribute that is held in memory: of a record, scope or resource
	list         // an array or map, one level of depth
)

var (
	varintField  = field{known: true, wire: protobuf.Varint}
	fixed64Field = field{known: true, wire: protobuf.Fixed64}
	fixed32Field = field{known: true, wire: protobuf.Fixed32}
	bytesField   = field{known: true, wire: protobuf.Bytes}
)

func sub(m *message, r role) field { return field{known: true, wire: protobuf.Bytes, sub: m, role: r} }

// The messages, from opentelemetry-proto. valueMessage refers to itself, so it is put together by a function.
var (
	valueMessage = describeValue()
	attrMessage  = valueMessage[6].sub[1].sub

	resourceMessage = message{1: sub(attrMessage, element), 2: varintField, 3: bytesField}
	scopeMessage    = message{1: bytesField, 2: bytesField, 3: sub(attrMessage, element), 4: varintField}

	logMessage = message{
		1: fixed64Field, 2: varintField, 3: bytesField, 5: sub(valueMessage, plain), 6: sub(attrMessage, element),
		7: varintField, 8: fixed32Field, 9: bytesField, 10: bytesField, 11: fixed64Field, 12: bytesField,
	}
	statusMessages = message{2: bytesField, 3: varintField}
	eventMessage   = message{1: fixed64Field, 2: bytesField, 3: sub(attrMessage, plain), 4: varintField}
	linkMessage    = message{
		1: bytesField, 2: bytesField, 3: bytesField, 4: sub(attrMessage, plain), 5: varintField, 6: fixed32Field,
	}
	spanMessage = message{
		1: bytesField, 2: bytesField, 3: bytesField, 4: bytesField, 5: bytesField, 6: varintField, 7: fixed64Field,
		8: fixed64Field, 9: sub(attrMessage, element), 10: varintField, 11: sub(&eventMessage, plain), 12: varintField,
		13: sub(&linkMessage, plain), 14: varintField, 15: sub(&statusMessages, plain), 16: fixed32Field,
	}

	scopeLogsMessage     = message{1: sub(&scopeMessage, plain), 2: sub(&logMessage, record), 3: bytesField}
	scopeSpansMessage    = message{1: sub(&scopeMessage, plain), 2: sub(&spanMessage, record), 3: bytesField}
	resourceLogsMessage  = message{1: sub(&resourceMessage, plain), 2: sub(&scopeLogsMessage, element), 3: bytesField}
	resourceSpansMessage = message{1: sub(&resourceMessage, plain), 2: sub(&scopeSpansMessage, element), 3: bytesField}

	logsRequest  = message{1: sub(&resourceLogsMessage, plain)}
	spansRequest = message{1: sub(&resourceSpansMessage, plain)}
)

func describeValue() *message {
	value, attr, array, kvlist := new(message), new(message), new(message), new(message)
	*value = message{
		1: bytesField, 2: varintField, 3: varintField, 4: fixed64Field,
		5: sub(array, list), 6: sub(kvlist, list), 7: bytesField, 8: varintField,
	}
	*attr = message{1: bytesField, 2: sub(value, plain), 3: varintField}
	*array = message{1: sub(value, plain)}
	*kvlist = message{1: sub(attr, plain)}
	return value
}
