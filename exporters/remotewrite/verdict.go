package remotewrite

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/braidhq/braid/exporters/post"
	"github.com/braidhq/braid/telemetry"
	wire "github.com/braidhq/braid/wire/remotewrite"
)

const messageV2 = "io.prometheus.write.v2.Request"

var (
	contentTypes = map[telemetry.Encoding]string{
		telemetry.RemoteWrite1: "application/x-protobuf",
		telemetry.RemoteWrite2: "application/x-protobuf;proto=" + messageV2,
	}
	versions = map[telemetry.Encoding]string{
		telemetry.RemoteWrite1: "0.1.0",
		telemetry.RemoteWrite2: "2.0.0",
	}
)

// errNot2 says that the endpoint does not speak 2.0: send the same in 1.0.
var errNot2 = errors.New("the endpoint does not take remote-write 2.0")

// verdict judges an answer by the remote-write specifications: 5xx and 429 may be tried again, 415 to a 2.0 request
// falls back to 1.0, and so does a success that does not say what it wrote: it comes from a 1.0 receiver that has not
// looked at the content type and stored nothing. Any other status is final. A 4xx that says that a part was written
// counts as delivered: the receiver has isolated what it could not take, and sending the frame again would not help.
// With retry401, 401 and 403 may be tried again.
func verdict(a post.Answer, m message, retry401 bool) (wire.Written, error) {
	v2 := m.version == telemetry.RemoteWrite2
	written, confirmed := parseWritten(a.Header)
	switch {
	case a.Status/100 == 2 && v2 && !confirmed:
		if m.count() == (wire.Written{}) {
			return written, nil
		}
		return wire.Written{}, errNot2
	case a.Status/100 == 2 && confirmed:
		return written, nil
	case a.Status/100 == 2:
		return m.count(), nil
	case a.Status == http.StatusUnsupportedMediaType && v2:
		return wire.Written{}, errNot2
	case a.Status == http.StatusTooManyRequests, a.Status/100 == 5 && a.RetryAfter > 0:
		return wire.Written{}, telemetry.Throttled(a.Err(""), a.RetryAfter)
	case a.Status/100 == 5, retry401 && (a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden):
		return wire.Written{}, a.Err("")
	case a.Status/100 == 4 && v2 && written != (wire.Written{}):
		return written, nil
	}
	return wire.Written{}, telemetry.Permanent(a.Err(""))
}

// parseWritten reads what a 2.0 receiver says it has written; confirmed is false when it says nothing.
func parseWritten(h http.Header) (n wire.Written, confirmed bool) {
	for what, count := range map[string]*int{"Samples": &n.Samples, "Histograms": &n.Histograms, "Exemplars": &n.Exemplars} {
		value := h.Get("X-Prometheus-Remote-Write-" + what + "-Written")
		if value == "" {
			continue
		}
		parsed, err := strconv.Atoi(value)
		if err != nil || parsed < 0 {
			continue
		}
		*count, confirmed = parsed, true
	}
	return n, confirmed
}
