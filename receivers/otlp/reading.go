package otlp

import (
	"github.com/braidhq/braid/telemetry"
	wire "github.com/braidhq/braid/wire/otlp"
)

// A reading is the memory of one request. It is in use until the request is answered and nobody holds what was decoded of it.
type reading struct {
	r       *Receiver
	body    []byte // as it came
	let     func() // gives that back
	buffer  []byte // of the body decompressed
	kept    int64  // bytes charged for what is decoded; 0: nothing is kept
	decoder *wire.Decoder
	decoded telemetry.Decoded
	free    func()
}

func newReading(r *Receiver, decoder *wire.Decoder) *reading {
	rd := &reading{r: r, decoder: decoder}
	rd.free = rd.end
	return rd
}

// begin returns the memory for a request with that body. [telemetry.Decoded.Release] ends it; let is called then.
func (r *Receiver) begin(body []byte, let func()) *reading {
	rd := r.readings.Get().(*reading)
	rd.body, rd.let = body, let
	rd.decoded.Begin(rd.free)
	return rd
}

func (rd *reading) end() {
	let, kept := rd.let, rd.kept
	rd.body, rd.let, rd.kept = nil, nil, 0
	rd.decoded.Body, rd.decoded.Batches = nil, nil
	if cap(rd.buffer) > maxDecoded {
		rd.buffer = nil
	}
	if rd.decoder.Footprint() > maxFootprint {
		rd.decoder = rd.decoder.Fork()
	}
	rd.r.gate.Let(kept)
	rd.r.readings.Put(rd)
	let()
}

// maxDecoded is the size of a body beyond which it is checked only: decoded, it takes as much memory again.
const maxDecoded = 1 << 20

// maxFootprint is the memory of records beyond which they are not kept. An empty span takes two bytes of a body and a hundred
// times as much decoded: a request of a kilobyte, compressed, must not hold 100 MB.
const maxFootprint = 8 << 20

// read checks a body and returns how many records it has. It decodes them if somebody will ask for them.
func (rd *reading) read(s telemetry.Signal, plain []byte) (records int, err error) {
	d := &rd.decoded
	switch {
	case rd.r.observed == nil || len(plain) > maxDecoded:
		if s == telemetry.Logs {
			return wire.CountLogs(plain)
		}
		return wire.CountSpans(plain)
	case s == telemetry.Logs:
		d.Only = nil
		d.Batches, err = rd.decoder.Logs(plain)
	default:
		d.Only = rd.r.observed()
		rd.decoder.Only(d.Only)
		d.Batches, err = rd.decoder.Spans(plain)
	}
	d.Body = plain
	for _, b := range d.Batches {
		records += b.Len()
	}
	return records, err
}

// keep keeps what was decoded beyond the turn, with the turn's buffer if the body lies in it (else nil): unless it is out of
// proportion, or there are too many bytes in flight already. Then its memory is left to the garbage collector, since nothing is
// charged for it.
func (rd *reading) keep(buffer *[]byte) {
	d := &rd.decoded
	if len(d.Batches) == 0 {
		return
	}
	footprint := rd.decoder.Footprint()
	size := int64(len(d.Body) + footprint)
	if buffer != nil {
		size = int64(cap(*buffer) + footprint)
	}
	if footprint > maxFootprint || rd.r.gate.Hold(size) != nil {
		d.Batches, rd.decoder = nil, rd.decoder.Fork()
		return
	}
	rd.kept = size
	if buffer != nil {
		rd.buffer, *buffer = *buffer, rd.buffer
	}
}
