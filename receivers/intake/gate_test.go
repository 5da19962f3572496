package intake

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
)

// request is one whose body is of unknown length: it comes in chunks.
func request(body io.Reader) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", body)
	r.ContentLength = -1
	return r
}

func status(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return http.StatusOK
	}
	s, _ := Answer(err)
	return s
}

func TestReadWithinBounds(t *testing.T) {
	g := New(Options{MaxBodyBytes: 100 << 10, MaxInFlightBytes: 1 << 20})
	for _, size := range []int{0, 1, firstBodyBytes - 1, firstBodyBytes, firstBodyBytes + 1, 100<<10 - 1, 100 << 10} {
		want := bytes.Repeat([]byte{'x'}, size)
		b, err := g.Read(httptest.NewRecorder(), request(iotest.HalfReader(bytes.NewReader(want))))
		if err != nil || !bytes.Equal(b.Bytes, want) {
			t.Fatalf("%d bytes: got %d, %v", size, len(b.Bytes), err)
		}
		if held := g.Held(); held < int64(size) {
			t.Fatalf("%d bytes are held, %d are charged", size, held)
		}
		b.Release()
		if g.Held() != 0 {
			t.Fatalf("%d bytes are still charged", g.Held())
		}
	}
}

func TestReadTooLarge(t *testing.T) {
	g := New(Options{MaxBodyBytes: 100 << 10})
	big := make([]byte, 100<<10+1)
	_, err := g.Read(httptest.NewRecorder(), request(bytes.NewReader(big)))
	if status(t, err) != http.StatusRequestEntityTooLarge {
		t.Errorf("in chunks: %v", err)
	}
	announced := httptest.NewRequest(http.MethodPost, "/", iotest.ErrReader(errors.New("the body was read")))
	announced.ContentLength = int64(len(big))
	if _, err = g.Read(httptest.NewRecorder(), announced); status(t, err) != http.StatusRequestEntityTooLarge {
		t.Errorf("announced: %v", err)
	}
	if g.Held() != 0 {
		t.Errorf("%d bytes are still charged", g.Held())
	}
}

func TestBudgetOfBytesInFlight(t *testing.T) {
	g := New(Options{MaxInFlightBytes: 2 * firstBodyBytes})
	first, err := g.Read(httptest.NewRecorder(), request(strings.NewReader("one")))
	if err != nil {
		t.Fatal(err)
	}
	second, err := g.Read(httptest.NewRecorder(), request(strings.NewReader("two")))
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.Read(httptest.NewRecorder(), request(strings.NewReader("three")))
	if s, retry := Answer(err); s != http.StatusTooManyRequests || retry != 1 {
		t.Fatalf("over the budget: %d, %d: %v", s, retry, err)
	}
	if string(first.Bytes) != "one" || string(second.Bytes) != "two" {
		t.Fatalf("bodies share memory: %q %q", first.Bytes, second.Bytes)
	}
	first.Release()
	third, err := g.Read(httptest.NewRecorder(), request(strings.NewReader("three")))
	if err != nil {
		t.Fatal(err)
	}
	third.Release()
	second.Release()
	if g.Held() != 0 {
		t.Fatalf("%d bytes are still charged", g.Held())
	}
}

func TestBrokenBody(t *testing.T) {
	g := New(Options{})
	_, err := g.Read(httptest.NewRecorder(), request(io.MultiReader(strings.NewReader("x"), iotest.ErrReader(io.ErrUnexpectedEOF))))
	if status(t, err) != http.StatusServiceUnavailable || g.Held() != 0 {
		t.Fatalf("%v, %d held", err, g.Held())
	}
}

func TestBodyThatNeverArrives(t *testing.T) {
	g := New(Options{ReadTimeout: time.Millisecond})
	errs := make(chan error, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := g.Read(w, r)
		if err == nil {
			b.Release()
		}
		errs <- err
	}))
	defer srv.Close()
	r, w := io.Pipe()
	defer w.Close()
	go func() {
		resp, err := http.Post(srv.URL, "text/plain", r)
		if err == nil {
			resp.Body.Close()
		}
	}()
	if err := <-errs; status(t, err) != http.StatusServiceUnavailable || !strings.Contains(err.Error(), "within") {
		t.Fatalf("got %v", err)
	}
}

func TestLook(t *testing.T) {
	g := New(Options{MaxBodyBytes: 1 << 20})
	plain := bytes.Repeat([]byte("braid "), 10_000)
	for _, c := range []telemetry.Compression{telemetry.Identity, telemetry.Gzip, telemetry.Zstd, telemetry.Snappy} {
		packed := compression.Compress(nil, plain, c)
		for range 3 {
			err := g.Look(context.Background(), packed, c, func(got []byte) error {
				if !bytes.Equal(got, plain) {
					t.Errorf("%s: got %d bytes, want %d", c, len(got), len(plain))
				}
				return nil
			})
			if err != nil {
				t.Fatalf("%s: %v", c, err)
			}
		}
		if c == telemetry.Identity {
			continue
		}
		never := func([]byte) error { t.Errorf("%s: looked at", c); return nil }
		if err := g.Look(context.Background(), packed[:len(packed)/2], c, never); status(t, err) != http.StatusBadRequest {
			t.Errorf("%s cut short: %v", c, err)
		}
		bomb := compression.Compress(nil, make([]byte, 1<<20+1), c)
		if err := g.Look(context.Background(), bomb, c, never); status(t, err) != http.StatusRequestEntityTooLarge {
			t.Errorf("%s bomb of %d bytes: %v", c, len(bomb), err)
		}
	}
}

// TestABufferMayBeTaken: who exchanges it for another keeps what lies in it, whoever has his turn afterwards.
func TestABufferMayBeTaken(t *testing.T) {
	g := New(Options{})
	text := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, 10_000) }
	take := func(i int, keep bool) (plain, taken []byte) {
		err := g.Turn(t.Context(), func(buffer *[]byte) (err error) {
			plain, err = g.Plain(buffer, compression.Compress(nil, text(i), telemetry.Zstd), telemetry.Zstd)
			if keep {
				taken, *buffer = *buffer, nil
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return plain, taken
	}
	var kept [8][]byte
	for i := range kept {
		plain, taken := take(i, true)
		if &plain[0] != &taken[0] {
			t.Error("what was decompressed does not lie in the buffer")
		}
		kept[i] = plain
	}
	for i := range 4 * cap(g.turns) {
		take(20+i%4, false)
	}
	for i, plain := range kept {
		if !bytes.Equal(plain, text(i)) {
			t.Errorf("the buffer taken in turn %d was written to: %.10q", i, plain)
		}
	}
}

// TestPlainOfIdentityIsTheBody: nothing is copied, and the buffer stays as it is.
func TestPlainOfIdentityIsTheBody(t *testing.T) {
	g := New(Options{})
	body, buffer := []byte("body"), []byte("buffer")
	plain, err := g.Plain(&buffer, body, telemetry.Identity)
	if err != nil || &plain[0] != &body[0] || string(buffer) != "buffer" {
		t.Errorf("%q, %q, %v", plain, buffer, err)
	}
}

func TestLookWaitsForATurn(t *testing.T) {
	g := New(Options{})
	for range cap(g.turns) {
		<-g.turns
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := g.Look(ctx, nil, telemetry.Identity, func([]byte) error { t.Error("looked without a turn"); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestAnswer(t *testing.T) {
	cases := []struct {
		err           error
		status, retry int
	}{
		{&Refusal{418, errors.New("x")}, 418, 0},
		{telemetry.Throttled(errors.New("full"), 0), 429, 1},
		{telemetry.Throttled(errors.New("full"), 1200*time.Millisecond), 429, 2},
		{telemetry.Throttled(errors.New("full"), 1<<62), 429, 3600},
		{telemetry.Permanent(errors.New("never")), 400, 0},
		{errors.New("disk"), 503, 0},
		{context.Canceled, 503, 0},
	}
	for _, c := range cases {
		if s, r := Answer(c.err); s != c.status || r != c.retry {
			t.Errorf("%v: got %d, %d; want %d, %d", c.err, s, r, c.status, c.retry)
		}
	}
}

func TestMark(t *testing.T) {
	get := func(kv ...string) func(string) string {
		return func(h string) string {
			for i := 0; i < len(kv); i += 2 {
				if kv[i] == h {
					return kv[i+1]
				}
			}
			return ""
		}
	}
	var f telemetry.Frame
	err := Mark(&f, get(TenantHeader, "team", QueueIDHeader, "0102030405060708", SequenceHeader, "18446744073709551615"))
	if err != nil || f.Tenant != "team" || f.Origin != (telemetry.QueueID{1, 2, 3, 4, 5, 6, 7, 8}) || f.Sequence != 1<<64-1 {
		t.Fatalf("%+v, %v", f, err)
	}
	if err := Mark(&f, get()); err != nil || f.Tenant != "" {
		t.Fatalf("%+v, %v", f, err)
	}
	for _, bad := range [][]string{
		{TenantHeader, strings.Repeat("t", 129)},
		{QueueIDHeader, "0102030405060708"},
		{SequenceHeader, "1"},
		{QueueIDHeader, "01020304050607zz", SequenceHeader, "1"},
		{QueueIDHeader, "0102", SequenceHeader, "1"},
		{QueueIDHeader, "0102030405060708", SequenceHeader, "-1"},
	} {
		if err := Mark(new(telemetry.Frame), get(bad...)); status(t, err) != http.StatusBadRequest {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
