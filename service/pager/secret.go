package pager

import "fmt"

// A channel that strays into a log, an error or a file leaves its kind there and
// never its settings: addresses hold tokens.

func (DingTalk) String() string { return "dingtalk" }
func (Webhook) String() string  { return "webhook" }
func (Email) String() string    { return "email" }
func (Relay) String() string    { return "relay" }

// Format and MarshalText print what String prints, whatever is asked for.
func (d DingTalk) Format(f fmt.State, _ rune)   { fmt.Fprint(f, d.String()) }
func (h Webhook) Format(f fmt.State, _ rune)    { fmt.Fprint(f, h.String()) }
func (e Email) Format(f fmt.State, _ rune)      { fmt.Fprint(f, e.String()) }
func (r Relay) Format(f fmt.State, _ rune)      { fmt.Fprint(f, r.String()) }
func (d DingTalk) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
func (h Webhook) MarshalText() ([]byte, error)  { return []byte(h.String()), nil }
func (e Email) MarshalText() ([]byte, error)    { return []byte(e.String()), nil }
func (r Relay) MarshalText() ([]byte, error)    { return []byte(r.String()), nil }
