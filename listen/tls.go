package listen

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"
)

// serverTLS is a listener's certificate and the authorities of its clients, as the files say them now.
type serverTLS struct {
	minVersion uint16
	now        func() time.Time
	cert       *watched[*tls.Certificate]
	clients    *watched[*x509.CertPool] // nil: no client certificates
	verified   verified
}

func (l *Listener) openTLS(c *TLS) error {
	s := &serverTLS{minVersion: c.MinVersion, now: l.now}
	s.cert = &watched[*tls.Certificate]{
		read: readFiles(c.CertFile, c.KeyFile),
		parse: func(texts [][]byte) (*tls.Certificate, error) {
			pair, err := tls.X509KeyPair(texts[0], texts[1])
			if err != nil {
				return nil, fmt.Errorf("cannot use the certificate %s with the key %s: %w", c.CertFile, c.KeyFile, err)
			}
			return &pair, nil
		},
		report: func(cert *tls.Certificate, err error) {
			l.metrics.expiry.Set(float64(cert.Leaf.NotAfter.Unix()))
			l.reloaded(c.CertFile, err)
		},
		now: l.now,
	}
	if err := s.cert.open(); err != nil {
		return err
	}
	l.metrics.expiry.Set(float64(s.cert.value.Leaf.NotAfter.Unix()))
	if c.ClientCAFile != "" {
		s.clients = &watched[*x509.CertPool]{
			read: readFiles(c.ClientCAFile),
			parse: func(texts [][]byte) (*x509.CertPool, error) {
				pool := x509.NewCertPool()
				if !pool.AppendCertsFromPEM(texts[0]) {
					return nil, fmt.Errorf("cannot use %s: it has no certificate in PEM", c.ClientCAFile)
				}
				return pool, nil
			},
			report: func(_ *x509.CertPool, err error) { l.reloaded(c.ClientCAFile, err) },
			now:    l.now,
		}
		if err := s.clients.open(); err != nil {
			return err
		}
	}
	l.tls = s
	return nil
}

func readFiles(names ...string) func() ([][]byte, error) {
	return func() ([][]byte, error) {
		texts := make([][]byte, len(names))
		for i, name := range names {
			var err error
			if texts[i], err = os.ReadFile(name); err != nil {
				return nil, fmt.Errorf("cannot read a file of the listener: %w", err)
			}
		}
		return texts, nil
	}
}

// config looks at the files at each handshake. A client certificate is asked for and, if there is one, verified here;
// that a request needs one is said in authenticate, where it can be answered with a reason and where probes of health
// may pass without. Sessions are not resumed where there are client certificates: one that is no longer good would be.
func (s *serverTLS) config() *tls.Config {
	base := &tls.Config{MinVersion: s.minVersion, NextProtos: []string{"h2", "http/1.1"}, Time: s.now}
	base.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.cert.get(), nil }
	if s.clients == nil {
		return base
	}
	base.SessionTicketsDisabled = true
	base.ClientAuth = tls.VerifyClientCertIfGiven
	base.ClientCAs = s.clients.get()
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := base.Clone()
		now.GetConfigForClient, now.ClientCAs = nil, s.clients.get()
		return now, nil
	}
	return base
}
