package config

import (
	"github.com/braidhq/braid/listen"
	"go.yaml.in/yaml/v3"
)

// Access restricts what those who are let in may read.
type Access struct {
	Kubernetes bool `yaml:"kubernetes"` // true: the API server is asked; lines and spans of a namespace are for those who may get pods/log in it; default false
}

// Kubernetes says how the API server is reached.
type Kubernetes struct {
	KubeconfigFile string `yaml:"kubeconfig_file"` // how the API server is reached; default as from a pod: the service account
}

// checkListeners finds what would be refused when the listeners are opened.
func checkListeners(receivers Receivers, web Web, root *yaml.Node, p *Problems) {
	for _, l := range []struct {
		config *listen.Config
		path   []string
	}{{receivers.HTTP, []string{"receivers", "http"}}, {receivers.GRPC, []string{"receivers", "grpc"}}, {web.Listen, []string{"web", "listen"}}} {
		if l.config == nil {
			continue
		}
		if err := l.config.Check(); err != nil {
			p.add(lineOf(root, l.path...), "%v", err)
		}
	}
}

// checkAccess refuses what only an aggregator has: an agent speaks to no API server.
func (c *Agent) checkAccess(root *yaml.Node, p *Problems) {
	if c.Web.Access != (Access{}) {
		p.add(lineOf(root, "web", "access"), "web.access is for an aggregator: an agent shows nobody any record")
	}
	if c.Web.AuditLog != "" {
		p.add(lineOf(root, "web", "audit_log"), "web.audit_log is for an aggregator: an agent shows nobody any record")
	}
	for path, l := range map[string]*listen.Config{"http": c.Receivers.HTTP, "grpc": c.Receivers.GRPC} {
		refuseKubernetes(l, root, p, "receivers", path)
	}
	refuseKubernetes(c.Web.Listen, root, p, "web", "listen")
}

func refuseKubernetes(l *listen.Config, root *yaml.Node, p *Problems, path ...string) {
	if l != nil && l.Auth != nil && l.Auth.Kubernetes != nil {
		p.add(lineOf(root, append(path, "auth", "kubernetes")...), "auth.kubernetes is for an aggregator: an agent speaks to no API server; use bearer_token_file or tls.client_ca_file")
	}
}

func (c *Aggregator) checkAccess(root *yaml.Node, p *Problems) {
	web := c.Web.Listen
	switch {
	case web == nil && (c.Web.Access.Kubernetes || c.Web.AuditLog != ""):
		p.add(lineOf(root, "web"), "web.access and web.audit_log are of no use without web.listen")
	case c.Web.Access.Kubernetes && !web.Authenticates():
		p.add(lineOf(root, "web", "access"), "web.access needs to know who asks: give auth, or tls with client_ca_file, beside the address of web.listen")
	}
}

// UsesKubernetes reports that the API server is needed for who may do what.
func (c *Aggregator) UsesKubernetes() bool {
	for _, l := range []*listen.Config{c.Receivers.HTTP, c.Receivers.GRPC, c.Web.Listen} {
		if l != nil && l.Auth != nil && l.Auth.Kubernetes != nil {
			return true
		}
	}
	return c.Web.Access.Kubernetes
}
