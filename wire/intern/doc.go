// Package intern keeps values that are built from bytes and seen again and again: resources and series.
//
// Noun: a [Cache] maps encoded bytes to the value built of them. It is bounded by entries and by bytes of keys, forgets
// what was not asked for lately, and does not allocate on a hit. It is for one goroutine at a time.
package intern
