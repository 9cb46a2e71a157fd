package wechatpay

import (
	"strconv"
	"time"
)

// fields reads the values of one JSON object in the forms the protocol allows
// and remembers the first that has another form.
type fields struct {
	object
	bad string // the name of that field, in our words
}

// id reads an identifier; "" when it is absent or unusable.
func (f *fields) id(key string) string { return string(f.idInPlace(key)) }

// names reports whether an identifier is there and usable.
func (f *fields) names(key string) bool { return len(f.idInPlace(key)) > 0 }

// idInPlace is id without a copy.
func (f *fields) idInPlace(key string) []byte {
	s, ok := f.text(key)
	if ok && (len(s) == 0 || isID(s)) {
		return s
	}
	f.spoil(key)
	return nil
}

// minor reads an amount in the currency's minor unit: an integer of at least 0
// in plain digits. Floats and exponents are no amounts of money.
func (f *fields) minor(o object, key string) (amount int64, present bool) {
	raw := o.raw(key)
	if raw == nil {
		return 0, false
	}
	amount, ok := parseMinor(string(raw))
	if !ok {
		f.spoil("amount." + key)
	}
	return amount, ok
}

func (f *fields) spoil(key string) {
	if f.bad == "" {
		f.bad = key
	}
}

// maxMinor is ten trillion yuan: no payment, and small enough that the sum of a
// thousand such amounts still fits an int64.
const maxMinor = 1e15

func parseMinor(s string) (int64, bool) {
	if !isDecimal(s) || len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n <= maxMinor
}

// isCurrency reports whether s has the form of an ISO 4217 code.
func isCurrency(s string) bool {
	if len(s) != 3 {
		return false
	}
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return true
}

var beijing = time.FixedZone("CST", 8*60*60)

// parseTime reads the ways in which WeChat Pay writes a time, as UTC; zero when
// it is none of them. Times without an offset are Beijing's.
func parseTime(s string) time.Time {
	for _, layout := range [...]string{time.RFC3339, "20060102150405", time.DateTime} {
		if t, err := time.ParseInLocation(layout, s, beijing); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
