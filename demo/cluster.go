package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/braidhq/braid/demo/node"
	"github.com/braidhq/braid/demo/reckon"
	"github.com/braidhq/braid/demo/shop"
)

// How long children may take to go.
const (
	stopGrace = 25 * time.Second // what braid promises for itself
	shopGrace = 75 * time.Second // requests under way, then the last spans
)

// A cluster is what runs on a site: the processes, and the node's side of the services.
type cluster struct {
	site       *site
	executable string
	patience   time.Duration // for each to come up
	spawn      *spawner
	failed     chan error // something ended that should not have; the first error counts

	aggregator, agent *process
	services          []*process
	containers        []*node.Container

	mu       sync.Mutex
	expected map[*process]bool // told to end, or killed

	kubelet     context.CancelFunc
	nodeWorkers sync.WaitGroup // runtime and kubelet
}

func newCluster(s *site, executable string, patience time.Duration) *cluster {
	return &cluster{
		site: s, executable: executable, patience: patience, spawn: newSpawner(), failed: make(chan error, 1),
		expected: make(map[*process]bool), kubelet: func() {},
	}
}

// fail notes the first error that ends the demo.
func (c *cluster) fail(err error) {
	select {
	case c.failed <- err:
	default:
	}
}

// ended is called for every process that has.
func (c *cluster) ended(p *process) {
	c.mu.Lock()
	expected := c.expected[p]
	c.mu.Unlock()
	if !expected {
		c.fail(fmt.Errorf("%s ended by itself: %s", p.name, p.lastWords()))
	}
}

func (c *cluster) expect(p *process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expected[p] = true
}

// startBraid starts one of braid's own verbs and waits until it is ready.
func (c *cluster) startBraid(ctx context.Context, verb, web string) (*process, error) {
	path := c.site.path(verb + ".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot start the %s: %w", verb, err)
	}
	defer log.Close()
	cmd := exec.Command(c.executable, verb, "--config.file", c.site.path(verb+".yaml"))
	cmd.Stdout, cmd.Stderr = log, log
	p, err := c.spawn.start(verb, path, cmd, c.ended)
	if err != nil {
		return nil, err
	}
	if err := c.waitReady(ctx, p, "http://"+web+"/-/ready"); err != nil {
		c.expect(p)
		p.kill()
		return nil, err
	}
	return p, nil
}

// waitReady polls a URL until it answers 200, the process ends, or patience does.
func (c *cluster) waitReady(ctx context.Context, p *process, url string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.patience, fmt.Errorf("it was not ready within %s", c.patience))
	defer cancel()
	client := &http.Client{Timeout: 2 * time.Second}
	defer client.CloseIdleConnections()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		if resp, err := client.Get(url); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-poll.C:
			continue
		case <-p.done:
			return fmt.Errorf("cannot start %s: %s", p.name, p.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("cannot start %s: %w; the end of its log:\n%s", p.name, context.Cause(ctx), tail(p.log, 20))
		}
	}
}

// startShop starts every service with its output in the hands of the node, and waits until all answer.
func (c *cluster) startShop(ctx context.Context) error {
	kubelet, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.kubelet = cancel
	for _, self := range c.site.topology.Services {
		if err := c.startService(kubelet, self); err != nil {
			return err
		}
	}
	for i, self := range c.site.topology.Services {
		if err := c.waitReady(ctx, c.services[i], "http://"+self.Address+"/healthz"); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) startService(kubelet context.Context, self shop.Service) error {
	options := c.site.nodeOptions(node.Options{Gap: time.Millisecond, Now: time.Now})
	container, err := node.Create(options, namespace, self.Pod, self.PodUID, self.Name)
	if err != nil {
		return err
	}
	c.containers = append(c.containers, container)
	cmd := exec.Command(c.executable, "demo", "service", self.Name, "--topology", c.site.path("shop.json"))
	for stream, end := range map[string]func(*os.File){
		"stdout": func(w *os.File) { cmd.Stdout = w }, "stderr": func(w *os.File) { cmd.Stderr = w },
	} {
		r, w, err := os.Pipe()
		if err != nil {
			return fmt.Errorf("cannot make a pipe: %w", err)
		}
		defer w.Close() // the service has its own copy; ours would keep the pipe open
		end(w)
		c.nodeWorkers.Go(func() {
			defer r.Close()
			if err := container.Copy(stream, r); err != nil {
				c.fail(err)
			}
		})
	}
	p, err := c.spawn.start(self.Name, container.Path(), cmd, c.ended)
	if err != nil {
		return err
	}
	c.services = append(c.services, p)
	c.nodeWorkers.Go(func() {
		if err := container.Watch(kubelet, rotateEvery); err != nil {
			c.fail(err)
		}
	})
	return nil
}

// stopShop ends the services: what they have to say is then in the logs, their ledgers are closed, and the agent has
// acknowledged their last spans.
func (c *cluster) stopShop(ctx context.Context) error {
	errs := make([]error, len(c.services))
	var wg sync.WaitGroup
	for i, p := range c.services {
		c.expect(p)
		wg.Go(func() { errs[i] = p.stop(ctx, shopGrace) })
	}
	wg.Wait()
	c.services = nil
	c.kubelet()
	c.nodeWorkers.Wait()
	for _, container := range c.containers {
		errs = append(errs, container.Close())
	}
	c.containers = nil
	return errors.Join(errs...)
}

// stopBraid ends agent and aggregator, in this order.
func (c *cluster) stopBraid(ctx context.Context) error {
	var errs []error
	for _, p := range []**process{&c.agent, &c.aggregator} {
		if *p != nil {
			c.expect(*p)
			errs = append(errs, (*p).stop(ctx, stopGrace))
			*p = nil
		}
	}
	return errors.Join(errs...)
}

// crashAggregator kills the aggregator by -9 and starts it again after a while, on the same ports and data. It returns
// from when to when it was not there.
func (c *cluster) crashAggregator(ctx context.Context, away time.Duration) (outage reckon.Outage, err error) {
	outage.From = time.Now()
	c.expect(c.aggregator)
	c.aggregator.kill()
	c.aggregator = nil
	timer := time.NewTimer(away)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return outage, context.Cause(ctx)
	}
	c.aggregator, err = c.startBraid(ctx, "aggregator", c.site.aggregatorWeb)
	outage.To = time.Now()
	return outage, err
}

// kill ends everything at once.
func (c *cluster) kill() {
	for _, p := range append([]*process{c.agent, c.aggregator}, c.services...) {
		if p != nil {
			c.expect(p)
			p.kill()
		}
	}
	c.kubelet()
	c.nodeWorkers.Wait()
	c.spawn.close()
}
