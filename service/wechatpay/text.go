package wechatpay

// maxID is longer than every identifier of the protocol.
const maxID = 64

// isID reports whether s can be an identifier: 1 to 64 visible ASCII
// characters, nothing that could break a log line, a key or a URL apart.
func isID[S string | []byte](s S) bool {
	if len(s) == 0 || len(s) > maxID {
		return false
	}
	return isVisible(s)
}

func isVisible[S string | []byte](s S) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// isDecimal reports whether s is a plain number: digits only, no sign.
func isDecimal(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}
