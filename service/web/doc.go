// Package web is the two doors of the service: the public one, where WeChat Pay
// posts callbacks and where nothing else is served, and the private one for
// operators: metrics, health, orders known ahead.
//
// A door reads, hands over and answers. It verifies nothing, stores nothing and
// decides nothing: what it answers follows from a Receipt or a Refusal.
package web
