package pager

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
)

// cause says in our own words why the other side could not be reached, and
// otherwise what is given. The words
// of libraries name addresses, which hold tokens, and quote what was answered,
// which may hold anything: none of them reach a log.
func cause(err error, otherwise string) string {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "given up"
	case errors.As(err, &dns):
		return "its name cannot be resolved: look at the address and at DNS"
	case errors.As(err, &certificate):
		return "its certificate is not trusted: look at the name in the address, at the roots, at this host's clock"
	case errors.As(err, &record):
		return "no TLS there: look at the port"
	case errors.As(err, &alert):
		return "TLS failed"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused: look at the address and the port"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no way there: look at the network and the firewall"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time: look at the network and the firewall"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection broke off"
	}
	return otherwise
}
