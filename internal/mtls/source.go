package mtls

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// ErrFiles says that files or names cannot be used; the text names each reason.
var ErrFiles = errors.New("mutual TLS")

// Files says where one's own certificate is and whom to believe.
type Files struct {
	CertFile string   // PEM: own certificate, then those between it and the authority
	KeyFile  string   // PEM
	CAFile   string   // PEM: authorities whose certificates peers may have
	Peers    []string // names of peers, see Names
}

// lookEvery is how often files are looked at, at most.
const lookEvery = time.Second

// Source holds what the files say now. It is safe for concurrent use.
type Source struct {
	files Files
	names Names
	log   *slog.Logger

	mu     sync.Mutex
	looked time.Time
	stamp  string // sizes and times of the files that now was made of, or that were found wrong
	now    *material
}

// material is one state of the files.
type material struct {
	cert  tls.Certificate
	roots *x509.CertPool
}

// Open reads and checks the files.
func Open(f Files, log *slog.Logger) (*Source, error) {
	names, err := ParseNames(f.Peers)
	errs := []error{err}
	s := &Source{files: f, names: names, log: log, looked: time.Now(), stamp: f.stamp()}
	s.now, err = f.read(time.Now())
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	return s, nil
}

// read makes a state of the files. It collects what is wrong.
func (f Files) read(now time.Time) (*material, error) {
	m := &material{roots: x509.NewCertPool()}
	var errs []error
	cert, err := os.ReadFile(f.CertFile)
	errs = append(errs, fileError("certificate", f.CertFile, err))
	key, err := os.ReadFile(f.KeyFile)
	errs = append(errs, fileError("key", f.KeyFile, err))
	ca, err := os.ReadFile(f.CAFile)
	errs = append(errs, fileError("authority", f.CAFile, err))
	if err == nil && !m.roots.AppendCertsFromPEM(ca) {
		errs = append(errs, fmt.Errorf("%w: authority %s has no certificate in PEM form", ErrFiles, f.CAFile))
	}
	if cert != nil && key != nil {
		errs = append(errs, m.pair(f, cert, key, now))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *material) pair(f Files, cert, key []byte, now time.Time) (err error) {
	if block, _ := pem.Decode(cert); block == nil {
		return fmt.Errorf("%w: certificate %s has no certificate in PEM form", ErrFiles, f.CertFile)
	}
	if m.cert, err = tls.X509KeyPair(cert, key); err != nil {
		return fmt.Errorf("%w: certificate %s with key %s: %w", ErrFiles, f.CertFile, f.KeyFile, err)
	}
	switch leaf := m.cert.Leaf; {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("%w: certificate %s expired at %s", ErrFiles, f.CertFile, leaf.NotAfter.Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("%w: certificate %s is not valid before %s", ErrFiles, f.CertFile, leaf.NotBefore.Format(time.RFC3339))
	}
	return nil
}

func fileError(what, path string, err error) error {
	if err == nil {
		return nil
	}
	if path == "" {
		return fmt.Errorf("%w: no file with the %s is named", ErrFiles, what)
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("%w: %s %s cannot be read: %w", ErrFiles, what, path, err)
}

// current gives the state to use now. Files that changed are read; while they are wrong the last good state stays.
func (s *Source) current() *material {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.looked) < lookEvery {
		return s.now
	}
	s.looked = now
	stamp := s.files.stamp()
	if stamp == s.stamp {
		return s.now
	}
	next, err := s.files.read(now)
	s.stamp = stamp
	if err != nil {
		s.log.Error("certificate files are wrong; the last good ones stay", "error", err)
		return s.now
	}
	s.now = next
	s.log.Info("certificate files taken over", "certificate", s.files.CertFile, "until", next.cert.Leaf.NotAfter)
	return s.now
}

// stamp is a cheap sign that nothing was touched.
func (f Files) stamp() string {
	stamp := ""
	for _, name := range []string{f.CertFile, f.KeyFile, f.CAFile} {
		if info, err := os.Stat(name); err == nil {
			stamp += fmt.Sprint(info.ModTime().UnixNano(), info.Size())
		}
		stamp += "|"
	}
	return stamp
}
