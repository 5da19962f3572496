// Package protobuf reads and writes the bytes of protocol buffers (protobuf.dev/programming-guides/encoding) by hand:
// tags, varints, fixed numbers and lengths, without descriptors, reflection or allocation.
//
// Nouns: a [Reader] walks the fields of one message; a [Tag] is a field's number and wire type in one value, so that a
// switch over tags checks both. In goes a message's bytes, out come its fields, whose Data alias it. The writing half
// is append functions and their size functions.
//
// The package is strict where generated code is lax: groups, field numbers outside 1..2^29-1, varints above 64 bits,
// and known fields of a wrong wire type are errors. Unknown fields are skipped. It knows no message and keeps no state.
package protobuf
