package input

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/braidhq/braid/bench/tally"
	"github.com/braidhq/braid/telemetry"
)

// A container writes lines in CRI format. The mix, by lines of the file: 60 % JSON of about 250 bytes with trace and
// span id, 30 % access log, 8 % pieces of split lines, 2 % stack traces.
type container struct {
	namespace, pod, uid, app string

	r     *rand.Rand
	now   func() time.Time
	last  int64  // the time stamp before; no two lines of a container share one
	out   []byte // lines not written yet
	lines int    // physical lines, pieces of split ones included
	truth tally.Truth

	record telemetry.Log // of the line under way
	body   []byte
}

func newContainer(seed uint64, i int, now func() time.Time) *container {
	r := rand.New(rand.NewPCG(seed, uint64(i)))
	id := string(appendHex(nil, r, 32))
	return &container{
		namespace: fmt.Sprintf("ns%d", i%5),
		pod:       fmt.Sprintf("svc%02d-7d9c5b6f4-%05d", i, i*7919%100000),
		uid:       fmt.Sprintf("%s-%s-%s-%s-%s", id[:8], id[8:12], id[12:16], id[16:20], id[20:]),
		app:       fmt.Sprintf("svc%02d.http", i), r: r, now: now,
	}
}

var (
	levels   = []string{"info", "info", "info", "info", "info", "info", "debug", "warn", "error"}
	methods  = []string{"GET", "GET", "GET", "POST", "PUT", "DELETE"}
	paths    = []string{"/api/v1/orders/", "/api/v1/users/", "/api/v1/cart/", "/api/v2/search/", "/checkout/", "/healthz/"}
	messages = []string{"request completed", "upstream call finished", "cache miss, loading from store", "order accepted", "payment authorised", "retrying after timeout"}
	agents   = []string{"Mozilla/5.0 (X11; Linux x86_64)", "curl/8.5.0", "kube-probe/1.31", "Go-http-client/2.0"}
	statuses = []string{"200", "200", "200", "200", "200", "201", "204", "304", "404", "500", "503"}
	frames   = []string{
		"com.example.shop.OrderService.place(OrderService.java:", "com.example.shop.web.OrderController.post(OrderController.java:",
		"org.springframework.web.servlet.FrameworkServlet.service(FrameworkServlet.java:", "java.lang.Thread.run(Thread.java:",
	}
)

func (c *container) pick(of []string) string { return of[c.r.IntN(len(of))] }

func appendHex(b []byte, r *rand.Rand, digits int) []byte {
	const hex = "0123456789abcdef"
	for digits > 0 {
		v := r.Uint64()
		for i := 0; i < 16 && digits > 0; i, digits = i+1, digits-1 {
			b = append(b, hex[v&15])
			v >>= 4
		}
	}
	return b
}

// step writes one item of the mix, of one or more physical lines. The weights make the shares come out by lines.
func (c *container) step() {
	switch v := c.r.IntN(1000); {
	case v < 665:
		c.item(telemetry.Stdout, 0, c.json)
	case v < 665+289:
		c.item(telemetry.Stdout, 0, c.access)
	case v < 665+289+44:
		c.item(telemetry.Stdout, 2, c.access)
	default:
		c.item(telemetry.Stderr, 0, c.exception)
		for range 10 {
			c.item(telemetry.Stderr, 0, c.frame)
		}
	}
}

// item writes one line, split into pieces+1, and takes it into the truth as a reader must put it together.
func (c *container) item(stream telemetry.Stream, pieces int, text func(time.Time)) {
	c.record.Body = c.record.Body[:0]
	for i := 0; i <= pieces; i++ {
		at := max(c.now().UnixNano(), c.last+1)
		c.last = at
		if i == 0 {
			c.record.UnixNano, c.record.Stream = at, stream
		}
		tag := byte('P')
		if i == pieces {
			tag = 'F'
		}
		when := time.Unix(0, at).UTC()
		c.body = c.body[:0]
		text(when)
		c.record.Body = append(c.record.Body, c.body...)
		c.out = when.AppendFormat(c.out, time.RFC3339Nano)
		c.out = append(append(append(c.out, ' '), stream.String()...), ' ', tag, ' ')
		c.out = append(append(c.out, c.body...), '\n')
		c.lines++
	}
	c.truth.Add(tally.Line(c.uid, &c.record).Content)
}

func (c *container) json(at time.Time) {
	b := append(c.body, `{"ts":"`...)
	b = at.AppendFormat(b, "2006-01-02T15:04:05.000Z")
	for _, f := range [...][2]string{{`","level":"`, c.pick(levels)}, {`","logger":"`, c.app}, {`","msg":"`, c.pick(messages)}, {`","method":"`, c.pick(methods)}, {`","path":"`, c.pick(paths)}} {
		b = append(append(b, f[0]...), f[1]...)
	}
	b = strconv.AppendInt(b, int64(c.r.IntN(100000)), 10)
	b = append(append(b, `","status":`...), c.pick(statuses)...)
	b = strconv.AppendFloat(append(b, `,"duration_ms":`...), float64(c.r.IntN(1000000))/1000, 'f', 3, 64)
	b = appendHex(append(b, `,"trace_id":"`...), c.r, 32)
	b = appendHex(append(b, `","span_id":"`...), c.r, 16)
	b = strconv.AppendInt(append(b, `","user":"u`...), int64(c.r.IntN(1000000)), 10)
	c.body = append(b, `"}`...)
}

func (c *container) access(at time.Time) {
	b := c.body
	for i := range 4 {
		if i > 0 {
			b = append(b, '.')
		}
		b = strconv.AppendInt(b, int64(1+c.r.IntN(254)), 10)
	}
	b = at.AppendFormat(append(b, " - - ["...), "02/Jan/2006:15:04:05 -0700")
	b = append(append(append(b, `] "`...), c.pick(methods)...), ' ')
	b = strconv.AppendInt(append(b, c.pick(paths)...), int64(c.r.IntN(100000)), 10)
	b = append(append(append(b, ` HTTP/1.1" `...), c.pick(statuses)...), ' ')
	b = strconv.AppendInt(b, int64(c.r.IntN(50000)), 10)
	b = append(append(append(b, ` "https://shop.example.com/" "`...), c.pick(agents)...), `" `...)
	c.body = strconv.AppendFloat(b, float64(c.r.IntN(3000))/1000, 'f', 3, 64)
}

func (c *container) exception(time.Time) {
	b := strconv.AppendInt(append(c.body, "java.lang.IllegalStateException: order "...), int64(c.r.IntN(1000000)), 10)
	c.body = append(b, " is already closed"...)
}

func (c *container) frame(time.Time) {
	b := append(append(c.body, "\tat "...), c.pick(frames)...)
	c.body = append(strconv.AppendInt(b, int64(c.r.IntN(900)+10), 10), ')')
}
