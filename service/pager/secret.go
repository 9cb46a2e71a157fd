package pager

import (
	"fmt"
	"log/slog"
)

// What strays into a log or an error is a channel's kind, never its settings:
// addresses hold tokens.

func (DingTalk) String() string { return "dingtalk" }
func (Webhook) String() string  { return "webhook" }
func (Email) String() string    { return "email" }
func (Relay) String() string    { return "relay" }

// GoString, Format, LogValue and MarshalText all print what String prints.
func (d DingTalk) GoString() string             { return d.String() }
func (d DingTalk) Format(f fmt.State, _ rune)   { fmt.Fprint(f, d.String()) }
func (d DingTalk) LogValue() slog.Value         { return slog.StringValue(d.String()) }
func (d DingTalk) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
func (h Webhook) GoString() string              { return h.String() }
func (h Webhook) Format(f fmt.State, _ rune)    { fmt.Fprint(f, h.String()) }
func (h Webhook) LogValue() slog.Value          { return slog.StringValue(h.String()) }
func (h Webhook) MarshalText() ([]byte, error)  { return []byte(h.String()), nil }
func (e Email) GoString() string                { return e.String() }
func (e Email) Format(f fmt.State, _ rune)      { fmt.Fprint(f, e.String()) }
func (e Email) LogValue() slog.Value            { return slog.StringValue(e.String()) }
func (e Email) MarshalText() ([]byte, error)    { return []byte(e.String()), nil }
func (r Relay) GoString() string                { return r.String() }
func (r Relay) Format(f fmt.State, _ rune)      { fmt.Fprint(f, r.String()) }
func (r Relay) LogValue() slog.Value            { return slog.StringValue(r.String()) }
func (r Relay) MarshalText() ([]byte, error)    { return []byte(r.String()), nil }
