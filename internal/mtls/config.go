package mtls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
)

// PeerError says why a peer's certificate is not believed.
type PeerError struct {
	Err error
}

// Error gives the reason.
func (e *PeerError) Error() string { return "the peer's certificate is not accepted: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *PeerError) Unwrap() error { return e.Err }

// Server is the configuration of a server that lets nobody in without one of
// the names. HTTP/2 and HTTP/1.1 are offered.
func (s *Source) Server() *tls.Config {
	// The outer configuration is what net/http looks at; each connection gets a
	// state of the files of its own. Resumed sessions would skip the look at the files.
	outer := s.server(s.now)
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.server(s.current()), nil }
	return outer
}

func (s *Source) server(m *material) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		NextProtos:             []string{"h2", "http/1.1"},
		Certificates:           []tls.Certificate{m.cert},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              m.roots,
		SessionTicketsDisabled: true,
		VerifyConnection:       func(cs tls.ConnectionState) error { return s.named(cs.PeerCertificates) },
	}
}

// Workers is the configuration of a server that anybody may come to. Whoever
// shows a certificate must have it from one of the authorities; what it says is the caller's to read.
func (s *Source) Workers() *tls.Config {
	make := func(m *material) *tls.Config {
		c := s.server(m)
		c.ClientAuth, c.VerifyConnection = tls.VerifyClientCertIfGiven, nil
		return c
	}
	outer := make(s.now)
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return make(s.current()), nil }
	return outer
}

// Client is the configuration of a client that speaks to nobody without one of
// the names. It shows its own certificate.
func (s *Source) Client() *tls.Config {
	return &tls.Config{
		MinVersion:           tls.VersionTLS12,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &s.current().cert, nil },
		// Names are compared instead of addresses, and against the files of now: verify does what this leaves out.
		InsecureSkipVerify: true,
		VerifyConnection:   func(cs tls.ConnectionState) error { return s.verify(cs.PeerCertificates) },
	}
}

// verify is what crypto/tls does for a client, with names in place of the address.
func (s *Source) verify(chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return &PeerError{errors.New("there is none")}
	}
	o := x509.VerifyOptions{Roots: s.current().roots, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(o); err != nil {
		return &PeerError{err}
	}
	return s.named(chain)
}

func (s *Source) named(chain []*x509.Certificate) error {
	if len(chain) > 0 && s.names.Match(chain[0]) {
		return nil
	}
	if len(chain) == 0 {
		return &PeerError{errors.New("there is none")}
	}
	return &PeerError{fmt.Errorf("it is for %s; wanted is %s", Describe(chain[0]), strings.Join(s.names, " or "))}
}
