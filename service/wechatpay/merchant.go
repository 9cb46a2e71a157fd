package wechatpay

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Merchant is one merchant (商户) with its keys. Its keys never print.
type Merchant struct {
	// Name is the last part of the merchant's notify_url path and its label
	// everywhere else; see [callback.IsMerchantName].
	Name string
	// MchID is the merchant number (商户号); for a partner (服务商) its own.
	MchID string
	// AppIDs are the accepted appids; empty accepts any.
	AppIDs []string
	// Verify holds platform certificates and WeChat Pay public keys. All are
	// live at once, because WeChat Pay changes over callback by callback.
	Verify []VerifyKey
	// APIv3 holds the APIv3 keys (APIv3密钥) of 32 bytes each, newest first.
	APIv3 [][]byte
	// V2 makes the older XML callbacks acceptable; its zero value does not.
	V2 V2
}

// V2 is what the older interface (APIv2) needs.
type V2 struct {
	Keys [][]byte   // API keys (API密钥) of 32 characters each, newest first
	Sign SignPolicy // the signatures to accept; empty means SignAny
}

// SignPolicy says which v2 signatures a merchant accepts.
type SignPolicy string

// The accepted v2 signatures. WeChat Pay often leaves sign_type out, so the
// length of the signature tells which one a message has.
const (
	SignAny        SignPolicy = "any"
	SignMD5        SignPolicy = "md5"
	SignHMACSHA256 SignPolicy = "hmac-sha256"
)

// accepts reports whether the policy lets a signature of type t count.
func (p SignPolicy) accepts(t SignPolicy) bool { return p == "" || p == SignAny || p == t }

func (p SignPolicy) known() bool {
	return p == "" || p == SignAny || p == SignMD5 || p == SignHMACSHA256
}

// String names the merchant and leaves the keys out.
func (m Merchant) String() string {
	return fmt.Sprintf("merchant %q (%s), keys redacted", m.Name, m.MchID)
}

// GoString, Format, LogValue and MarshalJSON all print what String prints: a
// merchant that strays into a log line takes no key with it.
func (m Merchant) GoString() string             { return m.String() }
func (m Merchant) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, m.String()) }
func (m Merchant) LogValue() slog.Value         { return slog.StringValue(m.String()) }
func (m Merchant) MarshalJSON() ([]byte, error) { return json.Marshal(m.String()) }

// String counts the keys and leaves them out.
func (v V2) String() string {
	return fmt.Sprintf("%d v2 keys, redacted", len(v.Keys))
}

// GoString, Format, LogValue and MarshalJSON print what String prints.
func (v V2) GoString() string             { return v.String() }
func (v V2) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, v.String()) }
func (v V2) LogValue() slog.Value         { return slog.StringValue(v.String()) }
func (v V2) MarshalJSON() ([]byte, error) { return json.Marshal(v.String()) }
