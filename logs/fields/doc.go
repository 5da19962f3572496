// Package fields takes the few facts braid joins by out of a line's text: severity, trace id and span id.
//
// Nouns: [Fields] is what was found. [Scan] looks at a line once: at JSON objects by walking their members (and one
// level below the members that ECS, Datadog and their like nest), at anything else as logfmt, key=value pairs in text, and the
// ways in which text says its level ([ERROR], ERROR, E1121 …).
//
// In comes a body, out go values; the body is never changed and nothing is kept. No regular expressions, no document
// tree, no allocations: this runs for every line of every container.
//
// The first valid value of each fact wins. What does not parse is left alone: a line with no facts is a good line.
package fields
