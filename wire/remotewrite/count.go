package remotewrite

import (
	"fmt"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/intern"
)

// Written is what a receiver of a body reports as written, and what it has to count as left out.
type Written struct {
	Samples, Histograms, Exemplars int

	Skipped          int // samples and histograms of bad series, and bad histograms
	SkippedExemplars int // exemplars of bad series or with bad labels
}

// Count checks a body of enc, RemoteWrite1 or RemoteWrite2, as a [Decoder] does, without interning series or keeping
// samples. A body it accepts is one the Decoder accepts, and no other is; the numbers are those of what the Decoder
// returns, but for exemplars without a sample of their series in the body: they count as written here.
func Count(enc telemetry.Encoding, body []byte) (Written, error) {
	d := Decoder{counting: true, series: &intern.Cache[*telemetry.Series]{}}
	var err error
	switch enc {
	case telemetry.RemoteWrite1:
		err = d.v1(body)
	case telemetry.RemoteWrite2:
		err = d.v2(body)
	default:
		panic(fmt.Sprintf("BUG: encoding %d is not remote-write", enc))
	}
	if err != nil {
		return Written{}, fmt.Errorf("cannot check remote-write: %w", err)
	}
	return d.written, nil
}
