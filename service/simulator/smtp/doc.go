// Package smtp is a stand-in for a mail relay as a sender sees it: it takes
// letters with or without TLS and a login, answers 4xx or 5xx at any stage,
// hangs, breaks the connection in the middle of a letter or after its final dot,
// greylists, and keeps what it took. It delivers nothing.
//
// It speaks the protocol itself instead of through a library: the libraries for
// servers decide by themselves what to answer to a connection, to STARTTLS and to
// DATA, and those are three of the places where a fault must strike.
//
// Source: RFC 5321, RFC 3207 (STARTTLS), RFC 4954 (AUTH).
package smtp
