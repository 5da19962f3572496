package demo

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are looked for in this range: below what Linux and macOS give to outgoing connections. A port from that other
// range could be taken by anyone's connection while the aggregator that listens on it is being restarted, and a client
// that tries to connect to it can even be connected with itself.
const firstPort, lastPort = 20000, 32000

// freePorts returns n addresses on loopback on which nobody listened a moment ago.
func freePorts(n int) ([]string, error) {
	var addresses []string
	var held []net.Listener
	defer func() {
		for _, ln := range held {
			_ = ln.Close()
		}
	}()
	at := firstPort + rand.IntN(lastPort-firstPort)
	var last error
	for range lastPort - firstPort {
		if len(addresses) == n {
			return addresses, nil
		}
		if at++; at >= lastPort {
			at = firstPort
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(at))
		ln, err := net.Listen("tcp", address)
		if err != nil {
			last = err
			continue
		}
		held = append(held, ln)
		addresses = append(addresses, address)
	}
	return nil, fmt.Errorf("cannot find %d free ports from %d to %d: %w", n, firstPort, lastPort, errors.Join(last))
}
