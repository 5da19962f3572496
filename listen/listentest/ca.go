// Package listentest makes real certificates for tests.
package listentest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A CA is a certificate authority that lives as long as its test.
type CA struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	PEM  []byte
}

// NewCA makes an authority with keys of its own.
func NewCA(t testing.TB) *CA {
	t.Helper()
	ca := &CA{t: t}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	ca.cert, ca.key = template, newKey(t)
	ca.PEM = ca.sign(template, ca.key)
	var err error
	if ca.cert, err = x509.ParseCertificate(decode(ca.PEM)); err != nil {
		t.Fatal(err)
	}
	return ca
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func decode(text []byte) []byte {
	block, _ := pem.Decode(text)
	return block.Bytes
}

func (ca *CA) sign(template *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	ca.t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		ca.t.Fatal(err)
	}
	template.SerialNumber = serial
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		ca.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// Issue signs a certificate for a new key and returns both in PEM. It is good for an hour unless template says
// otherwise.
func (ca *CA) Issue(template *x509.Certificate) (cert, key []byte) {
	ca.t.Helper()
	k := newKey(ca.t)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		ca.t.Fatal(err)
	}
	return ca.sign(template, k), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// Server issues a certificate for 127.0.0.1 and localhost.
func (ca *CA) Server() (cert, key []byte) {
	ca.t.Helper()
	return ca.Issue(&x509.Certificate{
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
}

// Client issues a certificate for a user in groups.
func (ca *CA) Client(user string, groups ...string) (cert, key []byte) {
	ca.t.Helper()
	return ca.Issue(ClientTemplate(user, groups...))
}

// ClientTemplate is what Client issues, to be changed before.
func ClientTemplate(user string, groups ...string) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: user, Organization: groups}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

// Pool holds the authority alone.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.PEM)
	return pool
}

// Write puts text into a file of dir, by renaming, and returns its path.
func Write(t testing.TB, dir, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// WriteServer issues a server's certificate and writes it to dir.
func (ca *CA) WriteServer(dir string) (certFile, keyFile string) {
	ca.t.Helper()
	cert, key := ca.Server()
	return Write(ca.t, dir, "tls.crt", cert), Write(ca.t, dir, "tls.key", key)
}

// Pair makes a client's certificate of PEM.
func Pair(t testing.TB, cert, key []byte) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// ServerConfig is the TLS of a server with a new certificate of ca.
func ServerConfig(t testing.TB, ca *CA) *tls.Config {
	t.Helper()
	cert, key := ca.Server()
	return &tls.Config{Certificates: []tls.Certificate{Pair(t, cert, key)}}
}
