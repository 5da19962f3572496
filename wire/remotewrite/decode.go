package remotewrite

import (
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/intern"
	"github.com/braidhq/braid/wire/protobuf"
)

const (
	// maxElements bounds the samples, histograms and exemplars of a body, and its symbols: an empty sample takes two
	// bytes on the wire and 72 in memory.
	maxElements = 1 << 21
	// maxLabels is how many labels one series or exemplar may have.
	maxLabels = 1 << 16
	// keepSamples is the size beyond which memory grown by one extraordinary body is given back after it.
	keepSamples = 1 << 17
)

// Why a body as a whole is refused, next to the errors of wire/protobuf.
var (
	ErrVersion = errors.New("body is of the other remote-write version")
	ErrSymbols = errors.New("symbol table does not start with the empty string")
	ErrTooMany = errors.New("more than 2^21 samples or symbols")
)

// A Decoder turns bodies into samples. It keeps its memory from call to call and interns series, so it should live as
// long as its owner. It is not for concurrent use.
type Decoder struct {
	series *intern.Cache[*telemetry.Series]

	// What a call leaves behind: the samples, and what was or was not taken.
	samples []telemetry.Sample
	written Written
	orphans int // exemplars that no sample could carry

	// counting: check everything and build nothing; samples of one series at a time are kept.
	counting bool
	elements int

	symbols     []string
	textChecked bool     // all symbols are UTF-8: nobody needs to look again
	lastNames   []uint32 // when counting 2.0: references of the names of the last good labels
	metricName  int      // index of __name__ among them
	families    map[string]metadata
	current     timeSeries
	pending     []pending
	histogram   histogramFields
	key         []byte
	builder     labels.ScratchBuilder
}

// A timeSeries is what one TimeSeries message said so far. Its samples are those of the decoder from first on.
type timeSeries struct {
	first     int
	labels    []labels.Label // alias the body
	refs      []uint32
	badLabels bool
	checked   bool // labels are known to be good
	meta      metadata
	badMeta   bool
	exemplars []exemplar.Exemplar

	exemplarLabels []labels.Label // of the exemplar being read
	exemplarRefs   []uint32

	goodExemplars, badExemplars, histograms, badHistograms int
}

// metadata aliases the body.
type metadata struct {
	kind       uint8 // index of metricTypes
	help, unit string
}

// pending are exemplars of a series that had no sample in its TimeSeries.
type pending struct {
	series    *telemetry.Series
	exemplars []exemplar.Exemplar
}

// interned is how much larger than others this cache is: 131,072 series, or 64 MiB of their labels and help texts.
const interned = 4

// NewDecoder returns a decoder with nothing interned.
func NewDecoder() *Decoder {
	return &Decoder{series: &intern.Cache[*telemetry.Series]{Times: interned}, builder: labels.NewScratchBuilder(16)}
}

// Fork returns a decoder that shares what d has interned. Both belong to one goroutine.
func (d *Decoder) Fork() *Decoder {
	return &Decoder{series: d.series, builder: labels.NewScratchBuilder(16)}
}

// Skipped returns how many samples and histograms of the last body were left out.
func (d *Decoder) Skipped() int { return d.written.Skipped }

// SkippedExemplars returns how many exemplars of the last body were left out.
func (d *Decoder) SkippedExemplars() int { return d.written.SkippedExemplars + d.orphans }

func (d *Decoder) reset() {
	if cap(d.samples) > keepSamples || cap(d.symbols) > keepSamples {
		d.samples, d.symbols = nil, nil
	}
	d.samples, d.symbols, d.pending = d.samples[:0], d.symbols[:0], d.pending[:0]
	d.written, d.orphans, d.elements, d.textChecked = Written{}, 0, 0, false
	clear(d.families)
}

func (d *Decoder) countElement() error {
	if d.elements++; d.elements > maxElements {
		return ErrTooMany
	}
	return nil
}

// begin starts a TimeSeries.
func (d *Decoder) begin() {
	c := &d.current
	*c = timeSeries{
		first:          len(d.samples),
		labels:         c.labels[:0],
		refs:           c.refs[:0],
		exemplars:      c.exemplars[:0],
		exemplarLabels: c.exemplarLabels,
		exemplarRefs:   c.exemplarRefs,
	}
}

// sample reads a Sample of either version.
func (d *Decoder) sample(data []byte, v2 bool) error {
	if err := d.countElement(); err != nil {
		return err
	}
	known := uint64(knownV1Sample)
	if v2 {
		known = knownV2Sample
	}
	d.samples = append(d.samples, telemetry.Sample{})
	s := &d.samples[len(d.samples)-1]
	r := protobuf.Read(data)
	for r.Next() {
		switch {
		case r.Tag == sampleValue:
			s.Value = float(r.Bits)
		case r.Tag == sampleTime:
			s.UnixMilli = int64(r.Bits)
		case r.Tag == sampleStart && v2:
			s.StartUnixMilli = int64(r.Bits)
		default:
			r.Skip(known)
		}
	}
	return r.Err()
}

// end finishes a TimeSeries: its samples get their series, or are taken back if its labels are bad.
func (d *Decoder) end() {
	c := &d.current
	samples := len(d.samples) - c.first - c.histograms
	var series *telemetry.Series
	good := !c.badLabels && !c.badMeta
	if good && d.counting {
		good = c.checked || checkLabels(c.labels, d.textChecked)
	} else if good {
		series = d.seriesOf(c.labels, c.meta)
		good = series != nil
	}
	if !good {
		d.samples = d.samples[:c.first]
		d.written.Skipped += samples + c.histograms + c.badHistograms
		d.written.SkippedExemplars += c.goodExemplars + c.badExemplars
		return
	}
	d.written.Samples += samples
	d.written.Histograms += c.histograms
	d.written.Exemplars += c.goodExemplars
	d.written.Skipped += c.badHistograms
	d.written.SkippedExemplars += c.badExemplars
	if d.counting {
		d.samples = d.samples[:c.first]
		return
	}
	for i := c.first; i < len(d.samples); i++ {
		d.samples[i].Series = series
	}
	if len(c.exemplars) == 0 {
		return
	}
	exemplars := append([]exemplar.Exemplar(nil), c.exemplars...)
	if len(d.samples) > c.first {
		d.samples[len(d.samples)-1].Exemplars = exemplars
	} else {
		d.pending = append(d.pending, pending{series, exemplars})
	}
}

// giveExemplars gives each pending exemplar to the last sample of its series, wherever that stands in the body.
func (d *Decoder) giveExemplars() {
	if len(d.pending) == 0 {
		return
	}
	last := make(map[uint64]int, len(d.samples))
	for i := range d.samples {
		last[d.samples[i].Series.Labels.Hash()] = i
	}
	for _, p := range d.pending {
		i, ok := last[p.series.Labels.Hash()]
		if !ok || !labels.Equal(d.samples[i].Series.Labels, p.series.Labels) {
			d.orphans += len(p.exemplars)
			continue
		}
		d.samples[i].Exemplars = append(d.samples[i].Exemplars, p.exemplars...)
	}
	clear(d.pending)
}

// exemplar reads an Exemplar of either version into the current TimeSeries.
func (d *Decoder) exemplar(data []byte, v2 bool) error {
	if err := d.countElement(); err != nil {
		return err
	}
	c := &d.current
	ls, refs := c.exemplarLabels[:0], c.exemplarRefs[:0]
	var e exemplar.Exemplar
	var err error
	r := protobuf.Read(data)
	for err == nil && r.Next() {
		switch {
		case r.Tag == exemplarValue:
			e.Value = float(r.Bits)
		case r.Tag == exemplarTime:
			e.Ts = int64(r.Bits)
		case r.Tag == exemplarLabels && !v2:
			ls, err = appendLabel(ls, r.Data)
		case r.Tag == exemplarLabels:
			refs, err = appendRefs(refs, r.Data)
		case r.Tag == exemplarLabel && v2:
			refs = append(refs, ref(r.Bits))
		default:
			r.Skip(knownExemplar)
		}
	}
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		return fmt.Errorf("cannot read exemplar: %w", err)
	}
	ok := true
	if v2 {
		ls, ok = d.resolve(ls, refs)
	}
	c.exemplarLabels, c.exemplarRefs = ls, refs
	if !ok || !checkExemplarLabels(ls, d.textChecked) {
		c.badExemplars++
		return nil
	}
	c.goodExemplars++
	if !d.counting {
		e.Labels, e.HasTs = d.build(canonical(ls)), e.Ts != 0
		c.exemplars = append(c.exemplars, e)
	}
	return nil
}
