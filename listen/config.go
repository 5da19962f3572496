package listen

import (
	"crypto/tls"
	"fmt"
	"net"

	"go.yaml.in/yaml/v3"
)

// A Config says where to listen and who is let in. In YAML it is "host:port", or a mapping.
type Config struct {
	// Address is host:port; port 0 takes a free one, an empty host means every address of the machine; required
	Address string
	// Insecure is the explicit word needed to listen without TLS or without authentication on an address that other
	// machines can reach; default false
	Insecure bool
	// MaxConnections bounds the connections open at once; more wait in the kernel's backlog; default no bound
	MaxConnections int
	// TLS is the listener's side of TLS; default none: in the clear
	TLS *TLS
	// Auth is how a request shows who it is from; default none: whoever reaches the listener is let in, or a client certificate is all that is asked for
	Auth *Auth
}

// TLS is a listener's side of TLS, with the names of Prometheus' web configuration. The files are read again when they
// change.
type TLS struct {
	CertFile string // PEM, of the certificate with its intermediates; required
	KeyFile  string // PEM, of its key; required
	// ClientCAFile is PEM, of authorities: every request then needs a client certificate that one of them has signed.
	ClientCAFile string
	// MinVersion is a constant of crypto/tls.
	MinVersion uint16 // TLS12 or TLS13; default TLS12
}

// Auth says how a request shows who it is from. One of its two methods is set, or neither beside TLS.ClientCAFile: then
// the client certificate's subject is who asks, as the Kubernetes API server reads it.
type Auth struct {
	// BearerTokenFile is a file with tokens, one a line (who asks is named as the file), or a directory with such a file
	// for each caller, as a mounted Secret is.
	BearerTokenFile string
	// Kubernetes has tokens reviewed by the API server; in place of bearer_token_file; aggregator only.
	Kubernetes *KubernetesAuth
	// Users are the only ones who are let in, by name; default whoever can show who it is
	Users []string
}

// KubernetesAuth is authentication by TokenReview.
type KubernetesAuth struct {
	// Audiences of which a token must be made for one; default those of the API server itself
	Audiences []string
}

const configKeys = "address, insecure, max_connections, tls, auth"

// UnmarshalYAML reads a scalar or a mapping. Every unknown, repeated or unreadable key is reported with its line.
func (c *Config) UnmarshalYAML(n *yaml.Node) error {
	*c = Config{}
	r := reader{}
	switch n.Kind {
	case yaml.ScalarNode:
		c.Address = n.Value
	case yaml.MappingNode:
		r.mapping(n, "a listener", fields{
			"address": &c.Address, "insecure": &c.Insecure, "max_connections": &c.MaxConnections,
			"tls":  func(n *yaml.Node) { c.TLS = r.tls(n) },
			"auth": func(n *yaml.Node) { c.Auth = r.auth(n) },
		})
	default:
		r.add(n, "a listener is \"host:port\" or a mapping with %s", configKeys)
		return r.err()
	}
	switch {
	case c.Address == "":
		r.add(n, "a listener needs an address")
	case c.MaxConnections < 0:
		r.add(n, "max_connections is negative")
	case c.Auth != nil && c.Auth.BearerTokenFile == "" && c.Auth.Kubernetes == nil && !c.certificates():
		r.add(n, "auth is without bearer_token_file or kubernetes, and tls without client_ca_file: nobody could be let in")
	}
	return r.err()
}

// certificates reports that requests need a client certificate.
func (c *Config) certificates() bool { return c.TLS != nil && c.TLS.ClientCAFile != "" }

// Authenticates reports that the listener lets only those in who show who they are.
func (c *Config) Authenticates() bool { return c.Auth != nil || c.certificates() }

// Check finds out without a look-up of names whether [Open] would refuse the address for what it lacks.
func (c *Config) Check() error {
	host, _, err := net.SplitHostPort(c.Address)
	if err != nil {
		return nil // Open says it, with what the system knows
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && !ip.IsLoopback()) {
		return c.exposed()
	}
	return nil
}

// exposed returns what c lacks on an address that other machines can reach.
func (c *Config) exposed() error {
	if c.Insecure || (c.TLS != nil && c.Authenticates()) {
		return nil
	}
	missing := "neither TLS nor authentication: give \"tls\" and \"auth\""
	switch {
	case c.TLS != nil:
		missing = "no authentication: give \"auth\""
	case c.Auth != nil:
		missing = "no TLS, so that credentials could be read on their way: give \"tls\""
	}
	return fmt.Errorf("cannot listen on %q: it is %w and has %s beside \"address\", or use 127.0.0.1 or [::1], "+
		"or set \"insecure: true\" to allow it", c.Address, ErrNotLoopback, missing)
}

func (r *reader) tls(n *yaml.Node) *TLS {
	t, version := &TLS{MinVersion: tls.VersionTLS12}, "TLS12"
	r.mapping(n, "tls", fields{
		"cert_file": &t.CertFile, "key_file": &t.KeyFile, "client_ca_file": &t.ClientCAFile, "min_version": &version,
	})
	switch version {
	case "TLS12":
	case "TLS13":
		t.MinVersion = tls.VersionTLS13
	default:
		r.add(n, "min_version %q is unknown: TLS12 or TLS13", version)
	}
	if t.CertFile == "" || t.KeyFile == "" {
		r.add(n, "tls needs cert_file and key_file")
	}
	return t
}

func (r *reader) auth(n *yaml.Node) *Auth {
	a := &Auth{}
	r.mapping(n, "auth", fields{
		"bearer_token_file": &a.BearerTokenFile, "users": &a.Users,
		"kubernetes": func(n *yaml.Node) {
			a.Kubernetes = &KubernetesAuth{}
			r.mapping(n, "kubernetes", fields{"audiences": &a.Kubernetes.Audiences})
		},
	})
	if a.BearerTokenFile != "" && a.Kubernetes != nil {
		r.add(n, "auth is one of bearer_token_file and kubernetes")
	}
	return a
}
