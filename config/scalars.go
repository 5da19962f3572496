package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// Size is a number of bytes. In YAML: a whole number, with KiB, MiB, GiB or TiB if it is not bytes.
type Size int64

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *Size) UnmarshalYAML(n *yaml.Node) error {
	size, err := parseSize(n.Value)
	if err != nil || n.Kind != yaml.ScalarNode {
		return scalarError(n, "is no size: write bytes, or a number with KiB, MiB, GiB or TiB")
	}
	*s = size
	return nil
}

func parseSize(text string) (Size, error) {
	unit := int64(1)
	for i, suffix := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if rest, ok := strings.CutSuffix(text, suffix); ok {
			text, unit = strings.TrimSpace(rest), 1<<(10*(i+1))
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, err
	}
	if n <= 0 || n > math.MaxInt64/unit {
		return 0, strconv.ErrRange
	}
	return Size(n * unit), nil
}

// Duration is a span of time in Prometheus' notation: 30s, 5m, 1h30m, 15d.
type Duration time.Duration

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	parsed, err := model.ParseDuration(n.Value)
	if err != nil || n.Kind != yaml.ScalarNode {
		return scalarError(n, "is no duration: write 500ms, 30s, 5m, 24h or 15d")
	}
	*d = Duration(parsed)
	return nil
}

// scalarError is of the one type after which the decoder goes on, so that all errors of a file are found at once.
func scalarError(n *yaml.Node, what string) error {
	return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %q %s", n.Line, n.Value, what)}}
}
