package callback

import "strings"

// OtherMerchant stands for every merchant that is not configured, in rows,
// series and records alike. [IsMerchantName] refuses it, so that no configured
// merchant can be taken for it.
const OtherMerchant = "_OTHER"

const (
	merchantNameLetters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	merchantNameMax     = 32
)

// IsMerchantName reports whether s can name a merchant: 1 to 32 characters of
// a-z, 0-9 and '-'. The name is the last part of the merchant's notify_url, and
// its label in the store, the metrics and the records, so it needs no escaping
// in any of them.
func IsMerchantName(s string) bool {
	return s != "" && len(s) <= merchantNameMax && strings.Trim(s, merchantNameLetters) == ""
}
