package server

import (
	"errors"
	"os"
	"path/filepath"
)

// identity is what the server shows to clients that ask for TLS.
type identity struct{ certificate, key []byte }

// WithCertificate has the server offer TLS. Both are PEM.
func WithCertificate(certificate, key []byte) Option {
	return func(s *Server) { s.identity = &identity{certificate, key} }
}

// identify gives the files to the server. PostgreSQL takes no key that others may
// read, or own.
func (s *Server) identify() error {
	if s.identity == nil {
		return nil
	}
	certificate, key := filepath.Join(s.guard.dir, "certificate.pem"), filepath.Join(s.guard.dir, "key.pem")
	err := errors.Join(os.WriteFile(certificate, s.identity.certificate, 0o600), os.WriteFile(key, s.identity.key, 0o600))
	if owner := s.guard.owner; owner != nil {
		err = errors.Join(err, os.Chown(certificate, int(owner.Uid), int(owner.Gid)), os.Chown(key, int(owner.Uid), int(owner.Gid)))
	}
	s.settings = append(s.settings, s.product.tls(certificate, key)...)
	return err
}
