// Package pager tells people. Failures that nobody was told of become
// incidents, incidents become messages, and a message goes out on every channel
// until one takes it.
//
// It has two sources and one memory. The first source is its own: every second
// it asks the [Book], which is the store; while the database is away, what waits
// in the spool stands in. The second is whatever else watches: Alertmanager and
// Grafana post their alerts. Both meet in one incident, so people are told once.
//
// A crash costs at most one message twice, never one message: an incident is
// told again until the book has noted that a channel took it.
package pager
