package ecs

import (
	"strconv"

	"github.com/braidhq/braid/telemetry"
)

// An object is a JSON object being appended to dst: members go in, and nested objects that stay empty leave no trace.
type object struct {
	dst   []byte
	start int // where the text that announced this object begins
	empty bool
}

// open appends `name":{` or, without a name, `{`.
func open(dst []byte, name string) object {
	o := object{dst: dst, start: len(dst), empty: true}
	if name != "" {
		o.dst = append(o.dst, '"')
		o.dst = append(o.dst, name...)
		o.dst = append(o.dst, '"', ':')
	}
	o.dst = append(o.dst, '{')
	return o
}

// key appends a member's key. Keys are ours and need no escaping.
func (o *object) key(name string) {
	if !o.empty {
		o.dst = append(o.dst, ',')
	}
	o.empty = false
	o.dst = append(o.dst, '"')
	o.dst = append(o.dst, name...)
	o.dst = append(o.dst, '"', ':')
}

func (o *object) text(name, value string) {
	if value != "" {
		o.key(name)
		o.dst = appendString(o.dst, value)
	}
}

func (o *object) int(name string, value int64) {
	o.key(name)
	o.dst = strconv.AppendInt(o.dst, value, 10)
}

func (o *object) time(name string, unixNano int64) {
	o.key(name)
	o.dst = appendTime(o.dst, unixNano)
}

func (o *object) id(id []byte) {
	o.key("id")
	o.dst = append(o.dst, '"')
	o.dst = AppendHex(o.dst, id)
	o.dst = append(o.dst, '"')
}

func (o *object) attrs(name string, attrs []telemetry.Attr) {
	if len(attrs) > 0 {
		o.key(name)
		o.dst = appendAttrs(o.dst, attrs)
	}
}

// nested begins a member that is an object; give it back by [object.end].
func (o *object) nested(name string) object {
	start := len(o.dst)
	if !o.empty {
		o.dst = append(o.dst, ',')
	}
	n := open(o.dst, name)
	n.start = start
	return n
}

// end closes the nested object n, or takes it back if nothing went in.
func (o *object) end(n object) {
	if n.empty {
		o.dst = n.dst[:n.start]
		return
	}
	o.dst = append(n.dst, '}')
	o.empty = false
}

// textIn appends {name: {member: value}}.
func (o *object) textIn(name, member, value string) {
	if value != "" {
		n := o.nested(name)
		n.text(member, value)
		o.end(n)
	}
}
