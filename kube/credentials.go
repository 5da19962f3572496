package kube

import (
	"fmt"
	"net/http"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// ServerTLS says how a server that is not the API server is known.
type ServerTLS struct {
	CAFile   string // "": by the system's authorities
	Insecure bool
}

// Transport sends requests with the credentials of a kubeconfig's context: its user's token, client certificate or
// credential plugin. An empty file is $KUBECONFIG or ~/.kube/config, an empty context the current one. Nothing of the
// kubeconfig's cluster is used: the requests go to another server.
func Transport(file, context string, server ServerTLS) (http.RoundTripper, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = file
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context})
	cfg, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("cannot use the kubeconfig: %w", err)
	}
	known := cfg.TLSClientConfig
	if cfg.BearerToken == "" && cfg.BearerTokenFile == "" && cfg.ExecProvider == nil && cfg.AuthProvider == nil && len(known.CertData) == 0 && known.CertFile == "" {
		return nil, fmt.Errorf("cannot use the kubeconfig: its user has neither token nor client certificate nor plugin")
	}
	transport, err := rest.TransportFor(&rest.Config{
		BearerToken: cfg.BearerToken, BearerTokenFile: cfg.BearerTokenFile,
		ExecProvider: cfg.ExecProvider, AuthProvider: cfg.AuthProvider, AuthConfigPersister: cfg.AuthConfigPersister,
		TLSClientConfig: rest.TLSClientConfig{
			CAFile: server.CAFile, Insecure: server.Insecure,
			CertFile: known.CertFile, CertData: known.CertData, KeyFile: known.KeyFile, KeyData: known.KeyData,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("cannot use the kubeconfig: %w", err)
	}
	return transport, nil
}
