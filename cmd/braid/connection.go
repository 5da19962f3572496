package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/braidhq/braid/kube"
)

// fallbackServer is where `braid demo` and an aggregator with its default configuration answer.
const fallbackServer = "http://127.0.0.1:9464"

func defaultServer() string {
	if s := os.Getenv("BRAID_SERVER"); s != "" {
		return s
	}
	return fallbackServer
}

// A connection is how a verb reaches an aggregator and shows who asks. The flags are kubectl's.
type connection struct {
	server               string
	token, tokenFile     string
	kubeconfig, context  string
	ca, certificate, key string
	insecure             bool
}

func (c *connection) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.server, "server", defaultServer(), "base URL of the aggregator; default: $BRAID_SERVER, else "+fallbackServer)
	f.StringVar(&c.token, "token", "", "bearer token that shows the aggregator who asks")
	f.StringVar(&c.tokenFile, "token-file", "", "file with the bearer token; it is read for every request")
	f.StringVar(&c.kubeconfig, "kubeconfig", "", "show the aggregator the credentials of this kubeconfig")
	f.StringVar(&c.context, "context", "", "show the aggregator the credentials of this context of the kubeconfig; \"\" is the current one")
	f.StringVar(&c.ca, "certificate-authority", "", "file with the authorities that the aggregator's certificate is checked against")
	f.BoolVar(&c.insecure, "insecure-skip-tls-verify", false, "do not check the aggregator's certificate")
	f.StringVar(&c.certificate, "client-certificate", "", "file with a client certificate for TLS")
	f.StringVar(&c.key, "client-key", "", "file with the client certificate's key")
	for _, name := range []string{"token-file", "kubeconfig", "certificate-authority", "client-certificate", "client-key"} {
		_ = cmd.MarkFlagFilename(name)
	}
}

// client returns how to ask the aggregator that the flags name.
func (c *connection) client(cmd *cobra.Command) (aggregatorClient, error) {
	base := strings.TrimRight(c.server, "/")
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	a := aggregatorClient{base: base, given: c.server, token: c.bearer, warnings: &warnings{out: cmd.ErrOrStderr()}}
	target, err := url.Parse(base)
	if err != nil {
		return a, usageError{fmt.Errorf("cannot use --server %q: %w", c.server, err)}
	}
	fromKubeconfig := c.kubeconfig != "" || cmd.Flags().Changed("context")
	given := 0
	for _, is := range []bool{c.token != "", c.tokenFile != "", fromKubeconfig} {
		if is {
			given++
		}
	}
	switch {
	case given > 1:
		return a, usageError{errors.New("at most one of --token, --token-file, and --kubeconfig with --context may be specified")}
	case given > 0 && target.Scheme != "https" && !isLoopback(target.Hostname()):
		return a, fmt.Errorf("cannot show a token to %s: on its way anybody could read it; use https", base)
	case (c.certificate == "") != (c.key == ""):
		return a, usageError{errors.New("--client-certificate and --client-key belong together")}
	}
	a.http, err = c.httpClient(fromKubeconfig)
	return a, err
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// httpClient follows no redirect: credentials would go with it.
func (c *connection) httpClient(fromKubeconfig bool) (*http.Client, error) {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if fromKubeconfig {
		var err error
		client.Transport, err = kube.Transport(c.kubeconfig, c.context, kube.ServerTLS{CAFile: c.ca, Insecure: c.insecure})
		return client, err
	}
	config := &tls.Config{InsecureSkipVerify: c.insecure}
	if c.ca != "" {
		text, err := os.ReadFile(c.ca)
		if err != nil {
			return nil, fmt.Errorf("cannot use --certificate-authority: %w", err)
		}
		if config.RootCAs = x509.NewCertPool(); !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("cannot use --certificate-authority: %s has no certificate in PEM", c.ca)
		}
	}
	if c.certificate != "" {
		pair, err := tls.LoadX509KeyPair(c.certificate, c.key)
		if err != nil {
			return nil, fmt.Errorf("cannot use --client-certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config
	client.Transport = transport
	return client, nil
}

// bearer returns the token of the next request; "" for none.
func (c *connection) bearer() (string, error) {
	if c.tokenFile == "" {
		return c.token, nil
	}
	text, err := os.ReadFile(c.tokenFile)
	if err != nil {
		return "", fmt.Errorf("cannot use --token-file: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
