package callback

import "time"

// KeyState is one configured key, for the key gauges and the config doctor.
type KeyState struct {
	Merchant string
	Kind     KeyKind
	ID       string    // serial, public key id or fingerprint; never secret
	Expires  time.Time // zero when the key has no end
	Used     time.Time // last time it opened or verified a callback; zero if never
}

// KeyKind says what a key is for.
type KeyKind string

// The kinds of key.
const (
	KeyCertificate KeyKind = "platform_certificate"
	KeyPublic      KeyKind = "public_key"
	KeyAPIv3       KeyKind = "apiv3"
	KeyAPIv2       KeyKind = "apiv2"
)
