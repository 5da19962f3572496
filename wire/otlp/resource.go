package otlp

import (
	"math"
	"strings"
	"unicode/utf8"

	"github.com/braidhq/braid/telemetry"
)

const keyRestart = "k8s.container.restart_count"

// resourceKeys lists the attributes that have a text field of their own, in the order they are written.
var resourceKeys = [...]string{
	"k8s.cluster.name", "k8s.node.name", "k8s.namespace.name", "k8s.pod.name", "k8s.pod.uid", "k8s.container.name",
	"container.id", "service.name", "service.namespace", "service.version", "service.instance.id",
}

// resourceField returns the field of r that holds attribute resourceKeys[i].
func resourceField(r *telemetry.Resource, i int) *string {
	switch i {
	case 0:
		return &r.Cluster
	case 1:
		return &r.Node
	case 2:
		return &r.Namespace
	case 3:
		return &r.Pod
	case 4:
		return &r.PodUID
	case 5:
		return &r.Container
	case 6:
		return &r.ContainerID
	case 7:
		return &r.Service
	case 8:
		return &r.ServiceNamespace
	case 9:
		return &r.ServiceVersion
	case 10:
		return &r.ServiceInstance
	}
	panic("BUG: no such resource field")
}

// ResourceAttributes appends r's attributes to dst: those of the semantic conventions that are set, the restart count
// if it is known, then Attrs. A nil resource has none.
func ResourceAttributes(dst []telemetry.Attr, r *telemetry.Resource) []telemetry.Attr {
	if r == nil {
		return dst
	}
	for i, key := range resourceKeys {
		if v := *resourceField(r, i); v != "" {
			dst = append(dst, telemetry.Attr{Key: key, Value: telemetry.String(v)})
		}
	}
	if r.Restart >= 0 {
		dst = append(dst, telemetry.Attr{Key: keyRestart, Value: telemetry.Int(int64(r.Restart))})
	}
	return append(dst, r.Attrs...)
}

// NewResource is the inverse of [ResourceAttributes]. Of an attribute that stands twice, is empty or has a type that
// its field cannot hold, only the first fitting one goes to the field; the others stay in Attrs. All text is copied.
func NewResource(attrs []telemetry.Attr) *telemetry.Resource {
	r := &telemetry.Resource{Restart: -1}
	for _, a := range attrs {
		if !setField(r, a) {
			a.Key, a.Value.Str = strings.Clone(a.Key), strings.Clone(a.Value.Str)
			r.Attrs = append(r.Attrs, a)
		}
	}
	return r
}

func setField(r *telemetry.Resource, a telemetry.Attr) bool {
	if a.Key == keyRestart {
		if r.Restart >= 0 || a.Value.Kind != telemetry.IntValue || a.Value.Int < 0 || a.Value.Int > math.MaxInt32 {
			return false
		}
		r.Restart = int(a.Value.Int)
		return true
	}
	for i, key := range resourceKeys {
		if key != a.Key {
			continue
		}
		field := resourceField(r, i)
		if *field != "" || a.Value.Str == "" || !isText(a.Value) {
			return false
		}
		*field = strings.Clone(a.Value.Str)
		return true
	}
	return false
}

// isText reports that v is text: a string, or what the encoder makes of a string that is not UTF-8.
func isText(v telemetry.Value) bool {
	return v.Kind == telemetry.StringValue || v.Kind == telemetry.BytesValue && !utf8.ValidString(v.Str)
}
