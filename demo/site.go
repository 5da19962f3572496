package demo

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/braidhq/braid/demo/node"
	"github.com/braidhq/braid/demo/shop"
)

// The identity of everything in the demo.
const (
	clusterName = "demo"
	nodeName    = "demo-node"
	namespace   = "shop"
	shopJob     = "shop" // the scrape job of the services
)

// A site is where one run of the demo takes place.
type site struct {
	dir  string
	kept bool // the directory stays

	agentHTTP, agentGRPC, agentWeb                string // host:port
	aggregatorHTTP, aggregatorGRPC, aggregatorWeb string
	topology                                      shop.Topology
}

// newSite makes the directory of a run and writes every configuration into it. keep is the directory to use, which must
// be empty or absent; without it one is made that goes with the demo. Ledgers are kept if there is someone to read them.
func newSite(keep string, ledgers bool) (*site, error) {
	s := &site{dir: keep, kept: keep != ""}
	if err := s.makeDir(); err != nil {
		return nil, err
	}
	if err := s.furnish(ledgers); err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

func (s *site) makeDir() (err error) {
	if !s.kept {
		if s.dir, err = os.MkdirTemp("", "braid-demo-"); err != nil {
			return fmt.Errorf("cannot make a directory for the demo: %w", err)
		}
		return nil
	}
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return fmt.Errorf("cannot use %s: %w", s.dir, err)
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return fmt.Errorf("cannot make the directory to keep: %w", err)
	}
	inside, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("cannot use %s: %w", s.dir, err)
	}
	if len(inside) > 0 {
		return fmt.Errorf("cannot use %s: it is not empty, and the demo mixes with nothing", s.dir)
	}
	return nil
}

func (s *site) furnish(ledgers bool) error {
	services := shop.Names()
	ports, err := freePorts(6 + len(services))
	if err != nil {
		return err
	}
	for i, p := range []*string{&s.agentHTTP, &s.agentGRPC, &s.agentWeb, &s.aggregatorHTTP, &s.aggregatorGRPC, &s.aggregatorWeb} {
		*p = ports[i]
	}
	s.topology = shop.Topology{OTLP: "http://" + s.agentHTTP, Cluster: clusterName, Node: nodeName, Namespace: namespace}
	for i, name := range services {
		id := randomHex(16)
		self := shop.Service{
			Name: name, Address: ports[6+i],
			Pod:    name + "-" + randomName(9) + "-" + randomName(5),
			PodUID: id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:],
		}
		if ledgers {
			self.Ledger = s.path("ledger", name+".ndjson")
		}
		s.topology.Services = append(s.topology.Services, self)
	}
	for _, dir := range []string{s.path("ledger"), s.pods(), s.path("data", "agent"), s.path("data", "aggregator")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("cannot make a directory for the demo: %w", err)
		}
	}
	for file, text := range map[string]string{"agent.yaml": s.agentConfig(), "aggregator.yaml": s.aggregatorConfig()} {
		if err := os.WriteFile(s.path(file), []byte(text), 0o644); err != nil {
			return fmt.Errorf("cannot write a configuration: %w", err)
		}
	}
	return s.topology.Write(s.path("shop.json"))
}

// path returns a path in the site's directory.
func (s *site) path(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

// pods is what stands for /var/log/pods.
func (s *site) pods() string { return s.path("var", "log", "pods") }

// ledgers returns the ledger file of every service.
func (s *site) ledgers() map[string]string {
	files := make(map[string]string)
	for _, self := range s.topology.Services {
		files[self.Name] = self.Ledger
	}
	return files
}

func (s *site) remove() {
	if !s.kept {
		_ = os.RemoveAll(s.dir)
	}
}

// nodeOptions are like a kubelet's, only smaller, so that in half a minute every service's log is rotated a few times
// and in one minute none is deleted. An agent that is away for longer than that loses lines, here as there.
func (s *site) nodeOptions(o node.Options) node.Options {
	o.Root, o.MaxBytes, o.MaxFiles = s.pods(), maxLogBytes, maxLogFiles
	return o
}

// randomName returns n characters of the alphabet that Kubernetes makes suffixes of: dashboards tell by it whose pod it is.
func randomName(n int) string {
	const alphabet = "bcdfghjklmnpqrstvwxz2456789"
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}
