package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
	"github.com/braidhq/braid/wire/protobuf"
)

// A shipper holds one request under way. Its fields are those of opentelemetry/proto/logs/v1.
type shipper struct {
	url      string
	codec    telemetry.Compression
	body     []byte
	packed   []byte
	resource []byte // of the file under way, encoded
	open     [2]int // ResourceLogs and ScopeLogs under way
	record   []byte
}

const fullBody = 1 << 20

func newShipper(url, codec string) (*shipper, error) {
	s := &shipper{url: url + "/v1/logs"}
	if codec == "none" {
		return s, nil
	}
	var err error
	s.codec, err = compression.ParseEncoding(codec)
	return s, err
}

func (s *shipper) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	container := filepath.Dir(path)
	pod := strings.SplitN(filepath.Base(filepath.Dir(container)), "_", 3)
	if len(pod) < 3 {
		return fmt.Errorf("%s is no path of a container's log", path)
	}
	s.resource = s.resource[:0]
	for _, a := range [...][2]string{
		{"k8s.namespace.name", pod[0]}, {"k8s.pod.name", pod[1]}, {"k8s.pod.uid", pod[2]}, {"k8s.container.name", filepath.Base(container)},
	} {
		s.resource = appendAttr(s.resource, 1, a[0], a[1])
	}
	s.begin()
	defer s.end()
	return s.lines(f)
}

func appendAttr(dst []byte, field protobuf.Tag, key, value string) []byte {
	dst, start := protobuf.OpenShort(dst, field<<3|protobuf.Bytes)
	dst = protobuf.AppendString(dst, 1<<3|protobuf.Bytes, key)
	dst, inner := protobuf.OpenShort(dst, 2<<3|protobuf.Bytes)
	dst = protobuf.AppendString(dst, 1<<3|protobuf.Bytes, value)
	return protobuf.CloseShort(protobuf.CloseShort(dst, inner), start)
}

func (s *shipper) begin() {
	s.body, s.open[0] = protobuf.Open(s.body, 1<<3|protobuf.Bytes)
	s.body = protobuf.AppendBytes(s.body, 1<<3|protobuf.Bytes, s.resource)
	s.body, s.open[1] = protobuf.Open(s.body, 2<<3|protobuf.Bytes)
}

func (s *shipper) end() {
	protobuf.Close(s.body, s.open[1])
	protobuf.Close(s.body, s.open[0])
}

func (s *shipper) lines(r io.Reader) error {
	buf := make([]byte, 256<<10)
	var joined, first []byte // body and time of the line under way that is split
	have := 0
	for {
		n, err := r.Read(buf[have:])
		have += n
		rest := buf[:have]
		for {
			line, after, whole := bytes.Cut(rest, []byte{'\n'})
			if !whole {
				break
			}
			rest = after
			at, line, ok := bytes.Cut(line, []byte{' '})
			if !ok || len(line) < len("stdout F ") {
				return fmt.Errorf("no CRI line: %q", line)
			}
			stream, tag, body := line[:6], line[7], line[9:]
			if tag == 'P' || len(joined) > 0 {
				if len(joined) == 0 {
					first = append(first[:0], at...)
				}
				joined = append(joined, body...)
				if tag == 'P' {
					continue
				}
				at, body = first, joined
			}
			if err := s.line(at, stream, body); err != nil {
				return err
			}
			joined = joined[:0]
		}
		have = copy(buf, rest)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *shipper) line(at, stream, body []byte) error {
	when, err := time.Parse(time.RFC3339Nano, string(at))
	if err != nil {
		return err
	}
	b := protobuf.AppendFixed64(s.record[:0], 1<<3|protobuf.Fixed64, uint64(when.UnixNano()))
	b, start := protobuf.OpenShort(b, 5<<3|protobuf.Bytes)
	b = protobuf.CloseShort(protobuf.AppendBytes(b, 1<<3|protobuf.Bytes, body), start)
	s.record = appendAttr(b, 6, "log.iostream", string(stream))
	s.body = protobuf.AppendBytes(s.body, 2<<3|protobuf.Bytes, s.record)
	if len(s.body) < fullBody {
		return nil
	}
	s.end()
	if err := s.flush(); err != nil {
		return err
	}
	s.begin()
	return nil
}

// flush posts the body under way, whose messages are closed.
func (s *shipper) flush() error {
	body := s.body
	if s.codec != telemetry.Identity {
		s.packed = compression.Compress(s.packed, body, s.codec)
		body = s.packed
	}
	req, err := http.NewRequest(http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	if s.codec != telemetry.Identity {
		req.Header.Set("Content-Encoding", s.codec.String())
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the sink answers %s: %s", resp.Status, answer)
	}
	s.body = s.body[:0]
	return nil
}
