package testbed

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A server is one of the servers that up.sh in a directory beside this file starts.
type server struct {
	name   string // of its directory
	env    string // holds the URL of one that runs already
	health string // path that answers 200 once it serves

	once sync.Once
	url  string
	err  error
	hold *os.File // the open end of the pipe that keeps our own server up; a collected os.File would close it
}

var (
	elasticsearch = &server{name: "elasticsearch", env: "BRAID_TEST_ELASTICSEARCH_URL", health: "/_cluster/health"}
	prometheus    = &server{name: "prometheus", env: "BRAID_TEST_PROMETHEUS_URL", health: "/-/ready"}
)

// Elasticsearch returns the base URL of a real Elasticsearch node.
func Elasticsearch(t testing.TB) string {
	t.Helper()
	return elasticsearch.get(t)
}

// Prometheus returns the base URL of a real Prometheus that receives remote-write 1.0 and 2.0.
func Prometheus(t testing.TB) string {
	t.Helper()
	return prometheus.get(t)
}

// Name returns prefix with a random suffix: a name that no other test or run uses.
func Name(prefix string) string {
	var b [5]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err)
	}
	return prefix + hex.EncodeToString(b[:])
}

func (s *server) get(t testing.TB) string {
	t.Helper()
	s.once.Do(func() { s.url, s.err = s.find() })
	if s.err != nil {
		t.Fatalf("testbed: cannot have a real %s: %v", s.name, s.err)
	}
	return s.url
}

func (s *server) find() (string, error) {
	if url := os.Getenv(s.env); url != "" {
		url = strings.TrimSuffix(url, "/")
		return url, s.answers(url)
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	scripts := filepath.Join(root, "testbed", s.name)
	if dir := os.Getenv("BRAID_TESTBED_DIR"); dir != "" {
		return s.shared(scripts, filepath.Join(dir, s.name))
	}
	return s.own(scripts)
}

func (s *server) answers(url string) error {
	client := http.Client{Timeout: 30 * time.Second}
	response, err := client.Get(url + s.health)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	client.CloseIdleConnections()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s%s answers %s", url, s.health, response.Status)
	}
	return nil
}

// shared starts the server of data, or finds it running. The lock makes one of several processes the one to start it;
// the port is kept beside the data.
func (s *server) shared(scripts, data string) (string, error) {
	if err := os.MkdirAll(data, 0o750); err != nil {
		return "", err
	}
	lock, err := os.Create(filepath.Join(data, "lock"))
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	ports := filepath.Join(data, "port")
	if port, err := os.ReadFile(ports); err == nil {
		if url := "http://127.0.0.1:" + string(port); s.answers(url) == nil {
			return url, nil
		}
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(ports, []byte(port), 0o640); err != nil {
		return "", err
	}
	return s.up(scripts, data, port)
}

// own starts a server for this process alone. A shell waits for the end of its standard input, which only this process
// holds open, and then stops the server: it does so however this process ends, with no TestMain to forget.
func (s *server) own(scripts string) (string, error) {
	data, err := os.MkdirTemp("", "braid-testbed-"+s.name+"-")
	if err != nil {
		return "", err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer read.Close()
	reaper := exec.Command("bash", "-c", `cat > /dev/null; "$0"/down.sh "$1"; rm -rf "$1"`, scripts, data)
	reaper.Stdin = read
	reaper.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := reaper.Start(); err != nil {
		write.Close()
		return "", err
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	s.hold = write
	return s.up(scripts, data, port)
}

func (s *server) up(scripts, data, port string) (string, error) {
	transport, err := freePort()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(filepath.Join(scripts, "up.sh"), data, port)
	cmd.Env = append(os.Environ(), "ES_TRANSPORT_PORT="+transport)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	url := "http://127.0.0.1:" + port
	return url, s.answers(url)
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// moduleRoot walks up from the test's directory to the directory of this module's go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module github.com/braidhq/braid\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("the directory of the test lies in no checkout of braid")
		}
		dir = parent
	}
}
