package mtls

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// Names says which certificates of the authorities are meant. One of them is enough:
//
//	spiffe://shop.example/gateway     a URI of the certificate, as a whole
//	spiffe://shop.example/gateways/*  any URI below
//	gateway.shop.example              a DNS name of the certificate
//	10.0.0.7                          an IP address of the certificate
//	CN=gateway                        the common name of its subject
//	*                                 every certificate of the authorities: for an authority that issues to such peers only
type Names []string

// ParseNames checks a list of names. An empty list is an error: it would mean everybody or nobody.
func ParseNames(list []string) (Names, error) {
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: no name of a peer is given; write spiffe://…, a DNS name, CN=…, or * for every certificate of the authority", ErrFiles)
	}
	var errs []error
	for _, n := range list {
		if why := wrongName(n); why != "" {
			errs = append(errs, fmt.Errorf("%w: name %q %s", ErrFiles, n, why))
		}
	}
	return slices.Clone(list), errors.Join(errs...)
}

func wrongName(n string) string {
	switch {
	case n == "*":
		return ""
	case n == "" || strings.ContainsAny(n, " \t\r\n,"):
		return "is empty or has white space or a comma in it"
	case strings.HasPrefix(n, "CN="):
		if len(n) == len("CN=") {
			return "names nobody"
		}
		return ""
	case strings.Contains(n, "://"):
		u, err := url.Parse(n)
		if err != nil || u.Host == "" || strings.Contains(u.Host, "*") {
			return "is not a URI with a host, such as spiffe://shop.example/gateway"
		}
		n = strings.TrimSuffix(n, "/*")
		fallthrough
	default:
		if strings.Contains(n, "*") {
			return "has a * elsewhere than as the last part of a URI's path"
		}
	}
	return ""
}

// Match says whether a certificate carries one of the names.
func (ns Names) Match(c *x509.Certificate) bool {
	return slices.ContainsFunc(ns, func(n string) bool { return matches(n, c) })
}

func matches(name string, c *x509.Certificate) bool {
	if name == "*" {
		return true
	}
	if cn, ok := strings.CutPrefix(name, "CN="); ok {
		return c.Subject.CommonName == cn
	}
	if strings.Contains(name, "://") {
		below, any := strings.CutSuffix(name, "*")
		return slices.ContainsFunc(c.URIs, func(u *url.URL) bool {
			s := u.String()
			return s == name || any && len(s) > len(below) && strings.HasPrefix(s, below)
		})
	}
	if ip := net.ParseIP(name); ip != nil {
		return slices.ContainsFunc(c.IPAddresses, ip.Equal)
	}
	return slices.ContainsFunc(c.DNSNames, func(d string) bool { return strings.EqualFold(d, name) })
}

// Describe lists every name that a certificate carries, for errors.
func Describe(c *x509.Certificate) string {
	var all []string
	for _, u := range c.URIs {
		all = append(all, u.String())
	}
	all = append(all, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if c.Subject.CommonName != "" {
		all = append(all, "CN="+c.Subject.CommonName)
	}
	if all == nil {
		return "no name at all"
	}
	return strings.Join(all, ", ")
}
