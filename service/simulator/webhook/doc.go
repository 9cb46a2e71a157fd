// Package webhook is a stand-in for whoever takes Alertmanager's webhook: it
// keeps every page, shows it to people, and misbehaves on command.
//
// It is a reading of the protocol of its own and shares no code with the
// service: what it keeps is what any other receiver would have got.
package webhook
