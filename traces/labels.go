package traces

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"github.com/braidhq/braid/telemetry"
)

const (
	maxLabelBytes = 256 // longer services, span names and dimensions are cut
	overflow      = "(overflow)"
)

// A series' key is its label values, each with its length in front, in the order of the label names. It is a string so
// that a map finds it by bytes that were put together in a buffer, without allocating.

func appendValue(key []byte, value string) []byte {
	key = binary.AppendUvarint(key, uint64(len(value)))
	return append(key, value...)
}

// nextValue takes the first value off key; ok: there was one.
func nextValue(key string) (value, rest string, ok bool) {
	n := uint64(0)
	for i := range min(len(key), binary.MaxVarintLen64) {
		n |= uint64(key[i]&0x7f) << (7 * i)
		if key[i] < 0x80 {
			key = key[i+1:]
			if n > uint64(len(key)) || i > 0 && n>>(7*i) == 0 { // too long, or written longer than need be
				return "", "", false
			}
			return key[:n], key[n:], true
		}
	}
	return "", "", false
}

// values returns what appendValue put into key; the strings are parts of it.
func values(key string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i], key, _ = nextValue(key)
	}
	return all
}

// isKey reports whether key is n clean values and nothing else.
func isKey(key string, n int) bool {
	for range n {
		v, rest, ok := nextValue(key)
		if !ok || len(v) > maxLabelBytes || !utf8.ValidString(v) {
			return false
		}
		key = rest
	}
	return key == ""
}

// cut returns s without what is beyond the limit, and without a character that the limit would cut in two.
func cut(s string) string {
	if len(s) <= maxLabelBytes {
		return s
	}
	end := maxLabelBytes
	for end > maxLabelBytes-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// clean returns s as a label's value: UTF-8, and no longer than the limit.
func clean(s string) string { return cut(strings.ToValidUTF8(cut(s), "\uFFFD")) }

// cleanKey returns a key of n cut values with clean ones.
func cleanKey(key string, n int) string {
	b := make([]byte, 0, len(key)+16)
	for _, v := range values(key, n) {
		b = appendValue(b, clean(v))
	}
	return string(b)
}

// appendAttr appends an attribute's value as a label's value.
func appendAttr(key []byte, v telemetry.Value) []byte {
	var room [32]byte
	text := room[:0]
	switch v.Kind {
	case telemetry.IntValue:
		text = strconv.AppendInt(text, v.Int, 10)
	case telemetry.BoolValue:
		text = strconv.AppendBool(text, v.Int != 0)
	case telemetry.FloatValue:
		text = strconv.AppendFloat(text, v.Float, 'g', -1, 64)
	default:
		return appendValue(key, cut(v.Str))
	}
	return append(append(key, byte(len(text))), text...)
}

// resourceValue returns the value of a resource attribute, "" if there is none. The known ones are fields.
func resourceValue(r *telemetry.Resource, name string) telemetry.Value {
	if r == nil {
		return telemetry.Value{}
	}
	switch name {
	case "service.name":
		return telemetry.String(r.Service)
	case "service.namespace":
		return telemetry.String(r.ServiceNamespace)
	case "service.version":
		return telemetry.String(r.ServiceVersion)
	case "service.instance.id":
		return telemetry.String(r.ServiceInstance)
	case "k8s.cluster.name":
		return telemetry.String(r.Cluster)
	case "k8s.node.name":
		return telemetry.String(r.Node)
	case "k8s.namespace.name":
		return telemetry.String(r.Namespace)
	case "k8s.pod.name":
		return telemetry.String(r.Pod)
	case "k8s.pod.uid":
		return telemetry.String(r.PodUID)
	case "k8s.container.name":
		return telemetry.String(r.Container)
	case "container.id":
		return telemetry.String(r.ContainerID)
	}
	v, _ := telemetry.Find(r.Attrs, name)
	return v
}

// redNames are the labels of RED series in front of the dimensions.
var redNames = []string{"service", "span_name", "span_kind", "status_code"}

// CheckDimensions says why attributes cannot be the dimensions of [Options]: each needs a label of its own.
func CheckDimensions(attributes []string) error {
	seen := append([]string{model.MetricNameLabel, "le", clusterLabel}, redNames...)
	for _, a := range attributes {
		name := labelName(a)
		switch {
		case a == "":
			return errors.New("a dimension is the name of an attribute, and one is empty")
		case slices.Contains(seen, name):
			return fmt.Errorf("the dimension %s would be a second label %s", a, name)
		}
		seen = append(seen, name)
	}
	return nil
}

// CheckBuckets says why bounds cannot be the buckets of classic histograms.
func CheckBuckets(bounds []float64) error {
	last := math.Inf(-1)
	for _, bound := range bounds {
		if !(bound > last) || bound <= 0 || math.IsInf(bound, 1) {
			return fmt.Errorf("the bucket %v is not a positive number above the one before", bound)
		}
		last = bound
	}
	return nil
}

// labelName returns the label of an attribute, for example http_route of http.route.
func labelName(attribute string) string {
	name := strings.Map(func(c rune) rune {
		if c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			return c
		}
		return '_'
	}, attribute)
	if name != "" && '0' <= name[0] && name[0] <= '9' {
		return "_" + name
	}
	return name
}
