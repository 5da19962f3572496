package traces

import (
	"testing"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// lend returns a string over b, as decoders make them.
func lend(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func count64(t *testing.T, c prometheus.Counter) int64 {
	t.Helper()
	return int64(testutil.ToFloat64(c))
}
