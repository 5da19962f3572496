package config

import (
	"net"
	"net/url"
	"strings"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	commonconfig "github.com/prometheus/common/config"
	promconfig "github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v3"
)

// Upstream says where the agent sends everything, and how it shows who it is. Files are read again as they change.
type Upstream struct {
	URL             string    `yaml:"url"`               // the base of /v1/logs, /v1/traces and /api/v1/write, of an aggregator or another backend of OTLP and remote-write; required
	Compression     string    `yaml:"compression"`       // zstd, gzip or none: of lines, and of pushed OTLP that came without; default zstd
	BearerTokenFile string    `yaml:"bearer_token_file"` // a file with the token to show; read for every request; needs an https URL, off loopback
	TLS             ClientTLS `yaml:"tls"`               // a client's side of TLS, with the names of Prometheus' tls_config; needs an https URL
}

// ClientTLS is a client's side of TLS, with the names of Prometheus' tls_config.
type ClientTLS struct {
	CAFile             string `yaml:"ca_file"`              // PEM, of the authorities that are trusted; default the system's
	CertFile           string `yaml:"cert_file"`            // PEM, of the client's certificate; with key_file
	KeyFile            string `yaml:"key_file"`             // PEM, of its key
	ServerName         string `yaml:"server_name"`          // the name expected in the server's certificate; default the URL's host
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify"` // true: the server's certificate is not looked at; default false
}

// HTTPClient is how to reach the aggregator by HTTP; nil: nothing is said about it. Redirects are not followed: the token
// would go with them.
func (u Upstream) HTTPClient() *commonconfig.HTTPClientConfig {
	if u.BearerTokenFile == "" && u.TLS == (ClientTLS{}) {
		return nil
	}
	c := &commonconfig.HTTPClientConfig{
		EnableHTTP2: true,
		TLSConfig: commonconfig.TLSConfig{
			CAFile: u.TLS.CAFile, CertFile: u.TLS.CertFile, KeyFile: u.TLS.KeyFile,
			ServerName: u.TLS.ServerName, InsecureSkipVerify: u.TLS.InsecureSkipVerify,
		},
		ProxyConfig: commonconfig.ProxyConfig{ProxyFromEnvironment: true},
	}
	if u.BearerTokenFile != "" {
		c.Authorization = &commonconfig.Authorization{Type: "Bearer", CredentialsFile: u.BearerTokenFile}
	}
	return c
}

// RemoteWrite is the remote-write 2.0 configuration towards the aggregator.
func (u Upstream) RemoteWrite() (*promconfig.RemoteWriteConfig, error) {
	target, err := url.Parse(strings.TrimSuffix(u.URL, "/") + "/api/v1/write")
	if err != nil {
		return nil, err
	}
	c := promconfig.DefaultRemoteWriteConfig
	c.URL = &commonconfig.URL{URL: target}
	c.ProtobufMessage = remoteapi.WriteV2MessageType
	c.SendExemplars, c.SendNativeHistograms = true, true
	if secured := u.HTTPClient(); secured != nil {
		c.HTTPClientConfig = *secured
	}
	return &c, nil
}

func (u Upstream) check(root *yaml.Node, p *Problems) {
	at := lineOf(root, "aggregator", "tls")
	if (u.TLS.CertFile == "") != (u.TLS.KeyFile == "") {
		p.add(at, "cert_file and key_file of aggregator.tls belong together")
	}
	target, err := url.Parse(u.URL)
	if err != nil || target.Scheme == "https" || target.Host == "" {
		return
	}
	if u.TLS != (ClientTLS{}) {
		p.add(at, "aggregator.tls is for an https URL, and %q is none", u.URL)
	}
	if u.BearerTokenFile != "" && !isLoopback(target.Hostname()) {
		p.add(lineOf(root, "aggregator", "bearer_token_file"), "aggregator.bearer_token_file needs an https URL: on its way to %q anybody could read the token", u.URL)
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
