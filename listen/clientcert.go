package listen

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"
)

// maxVerified bounds the certificates that are remembered: those of so many connections.
const maxVerified = 4096

// verified remembers until when certificates are good by one set of authorities: signatures cost more than the rest of a
// request. A certificate is known by its pointer, which stays the same as long as its connection lives.
type verified struct {
	mu    sync.Mutex
	by    *x509.CertPool
	until map[*x509.Certificate]time.Time
}

// look returns until when leaf is good; the zero time: nobody knows.
func (v *verified) look(by *x509.CertPool, leaf *x509.Certificate) time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.by != by || len(v.until) >= maxVerified {
		v.by, v.until = by, map[*x509.Certificate]time.Time{}
	}
	return v.until[leaf]
}

func (v *verified) keep(by *x509.CertPool, leaf *x509.Certificate, until time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.by == by {
		v.until[leaf] = until
	}
}

var errNoCertificate = errors.New("a client certificate is needed")

// client returns who a connection's certificate says it is from, as the Kubernetes API server does: the subject's common
// name, and its organizations as groups; without a common name the first URI or DNS name. A connection lives longer than
// a handshake, so the certificate must be good by the authorities and the clock of now.
func (s *serverTLS) client(state *tls.ConnectionState, now time.Time) (Identity, error) {
	if state == nil || len(state.PeerCertificates) == 0 {
		return Identity{}, errNoCertificate
	}
	leaf, roots := state.PeerCertificates[0], s.clients.get()
	if !now.Before(s.verified.look(roots, leaf)) {
		until, err := verify(state.PeerCertificates, roots, now)
		if err != nil {
			return Identity{}, fmt.Errorf("the client certificate is not good: %w", err)
		}
		s.verified.keep(roots, leaf, until)
	}
	who := Identity{Name: leaf.Subject.CommonName, Groups: leaf.Subject.Organization}
	if who.Name == "" && len(leaf.URIs) > 0 {
		who.Name = leaf.URIs[0].String()
	}
	if who.Name == "" && len(leaf.DNSNames) > 0 {
		who.Name = leaf.DNSNames[0]
	}
	if who.Name == "" {
		return Identity{}, errors.New("the client certificate names nobody")
	}
	return who, nil
}

// verify returns until when a certificate, followed by its intermediates, is good.
func verify(certs []*x509.Certificate, roots *x509.CertPool, now time.Time) (until time.Time, err error) {
	options := x509.VerifyOptions{
		Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range certs[1:] {
		options.Intermediates.AddCert(c)
	}
	chains, err := certs[0].Verify(options)
	if err != nil {
		return until, err
	}
	until = certs[0].NotAfter
	for _, c := range chains[0] {
		if c.NotAfter.Before(until) {
			until = c.NotAfter
		}
	}
	return until, nil
}
