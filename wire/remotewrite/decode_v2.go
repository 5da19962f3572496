package remotewrite

import (
	"fmt"
	"github.com/prometheus/common/model"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
)

// V2 decodes an io.prometheus.write.v2.Request. The result is lent until the next call and aliases nothing of body; its
// Series, histograms and exemplars may be kept.
func (d *Decoder) V2(body []byte) ([]telemetry.Sample, error) {
	d.reset()
	if err := d.v2(body); err != nil {
		return nil, fmt.Errorf("cannot decode remote-write 2.0: %w", err)
	}
	d.giveExemplars()
	return d.samples, nil
}

func (d *Decoder) v2(body []byte) error {
	d.textChecked = true
	r := protobuf.Read(body)
	for r.Next() {
		switch r.Tag {
		case v2Symbols:
			if len(d.symbols) == maxElements {
				return ErrTooMany
			}
			d.symbols = append(d.symbols, text(r.Data))
			d.textChecked = d.textChecked && utf8.Valid(r.Data)
		case v2Series:
		default:
			if number := r.Tag >> 3; number <= 3 {
				return ErrVersion
			}
			r.Skip(knownV2Request)
		}
	}
	if err := r.Err(); err != nil {
		return err
	}
	if len(d.symbols) > 0 && d.symbols[0] != "" {
		return ErrSymbols
	}
	for r = protobuf.Read(body); r.Next(); {
		if r.Tag != v2Series {
			continue
		}
		if err := d.v2Series(r.Data); err != nil {
			return fmt.Errorf("cannot read series: %w", err)
		}
	}
	return nil
}

func (d *Decoder) v2Series(data []byte) error {
	d.begin()
	c := &d.current
	var err error
	r := protobuf.Read(data)
	for err == nil && r.Next() {
		switch r.Tag {
		case v2SeriesLabels:
			c.refs, err = appendRefs(c.refs, r.Data)
		case v2SeriesLabel:
			c.refs = append(c.refs, ref(r.Bits))
		case v2SeriesSamples:
			err = d.sample(r.Data, true)
		case v2SeriesHistograms:
			err = d.histogramSample(r.Data, true)
		case v2SeriesExemplars:
			err = d.exemplar(r.Data, true)
		case v2SeriesMetadata:
			err = d.v2Metadata(r.Data)
		default:
			r.Skip(knownV2Series)
		}
	}
	if err != nil {
		return err
	}
	if err := r.Err(); err != nil {
		return err
	}
	if d.counting && d.likeLast(c.refs) {
		c.checked = true
		d.end()
		return nil
	}
	var ok bool
	c.labels, ok = d.resolve(c.labels, c.refs)
	c.badLabels = !ok
	if d.counting && ok && checkLabels(c.labels, d.textChecked) {
		c.checked = true
		d.rememberNames(c)
	}
	d.end()
	return nil
}

// likeLast reports that refs are good labels because they have the same names as the last good ones. The names of a
// target's series seldom change from one to the next, and comparing references costs a third of looking at the text.
func (d *Decoder) likeLast(refs []uint32) bool {
	if !d.textChecked || len(d.lastNames) == 0 || len(refs) != 2*len(d.lastNames) {
		return false
	}
	for i, name := range d.lastNames {
		if refs[2*i] != name || int(refs[2*i+1]) >= len(d.symbols) {
			return false
		}
	}
	return d.symbols[refs[2*d.metricName+1]] != ""
}

// rememberNames keeps the names of c's labels, which are good, for likeLast.
func (d *Decoder) rememberNames(c *timeSeries) {
	d.lastNames = d.lastNames[:0]
	for i := 0; i < len(c.refs); i += 2 {
		d.lastNames = append(d.lastNames, c.refs[i])
	}
	d.metricName = slices.IndexFunc(c.labels, func(l labels.Label) bool { return l.Name == model.MetricNameLabel })
}

func (d *Decoder) v2Metadata(data []byte) error {
	var help, unit uint64
	m := &d.current.meta
	r := protobuf.Read(data)
	for r.Next() {
		switch r.Tag {
		case v2MetadataType:
			m.kind = metricType(r.Bits)
		case v2MetadataHelp:
			help = r.Bits
			d.symbol(&m.help, help)
		case v2MetadataUnit:
			unit = r.Bits
			d.symbol(&m.unit, unit)
		default:
			r.Skip(knownV2Metadata)
		}
	}
	return r.Err()
}

// symbol sets s to the symbol a reference means; one outside the table makes the current series a bad one.
func (d *Decoder) symbol(s *string, bits uint64) {
	if bits >= uint64(len(d.symbols)) {
		d.current.badMeta = true
		return
	}
	*s = d.symbols[bits]
}

// resolve appends the labels that refs stand for; false if they are not pairs of references into the symbol table.
func (d *Decoder) resolve(dst []labels.Label, refs []uint32) ([]labels.Label, bool) {
	if len(refs)%2 != 0 || len(refs) > 2*maxLabels {
		return dst, false
	}
	for i := 0; i < len(refs); i += 2 {
		name, value := refs[i], refs[i+1]
		if uint64(name) >= uint64(len(d.symbols)) || uint64(value) >= uint64(len(d.symbols)) {
			return dst, false
		}
		dst = append(dst, labels.Label{Name: d.symbols[name], Value: d.symbols[value]})
	}
	return dst, true
}

// appendRefs unpacks references.
func appendRefs(dst []uint32, data []byte) ([]uint32, error) {
	for len(data) > 0 {
		if b := data[0]; b < 0x80 {
			dst, data = append(dst, uint32(b)), data[1:]
			continue
		}
		v, n := protobuf.Uvarint(data)
		if n <= 0 {
			return dst, protobuf.ErrVarint
		}
		dst, data = append(dst, ref(v)), data[n:]
	}
	return dst, nil
}

// ref returns a reference that is out of range of every table for one that is no uint32.
func ref(bits uint64) uint32 { return uint32(min(bits, math.MaxUint32)) }
