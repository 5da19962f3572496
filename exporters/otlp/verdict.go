package otlp

import (
	"net/http"

	"github.com/braidhq/braid/exporters/post"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
)

// verdict judges an answer by the OTLP specification 1.9, "Failures" of OTLP/HTTP: 429, 502, 503 and 504 may be tried
// again, every other status but 2xx must not; with retry401, 401 and 403 may. It returns how many records a success has
// rejected.
func verdict(a post.Answer, retry401 bool) (rejected int64, err error) {
	if a.Status/100 == 2 {
		return rejectedRecords(a.Body), nil
	}
	err = a.Err(statusMessage(a.Body))
	switch a.Status {
	case http.StatusTooManyRequests:
		return 0, telemetry.Throttled(err, a.RetryAfter)
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		if a.RetryAfter > 0 {
			return 0, telemetry.Throttled(err, a.RetryAfter)
		}
		return 0, err
	case http.StatusUnauthorized, http.StatusForbidden:
		if retry401 {
			return 0, err
		}
	}
	return 0, telemetry.Permanent(err)
}

// rejectedRecords reads partial_success.rejected_* of an Export*ServiceResponse: both responses have the same fields.
// What does not read so rejects nothing: the status has said that the request was taken.
func rejectedRecords(body []byte) int64 {
	const partialSuccess, rejectedRecords = 1<<3 | protobuf.Bytes, 1<<3 | protobuf.Varint
	var rejected int64
	for r := protobuf.Read(body); r.Next(); {
		if r.Tag != partialSuccess {
			continue
		}
		for p := protobuf.Read(r.Data); p.Next(); {
			if p.Tag == rejectedRecords {
				rejected = max(0, int64(p.Bits))
			}
		}
	}
	return rejected
}

// statusMessage reads the message of a google.rpc.Status; "" if body is none.
func statusMessage(body []byte) string {
	const message = 2<<3 | protobuf.Bytes
	text := ""
	r := protobuf.Read(body)
	for r.Next() {
		if r.Tag == message {
			text = string(r.Data)
		}
	}
	if r.Err() != nil {
		return ""
	}
	return text
}
