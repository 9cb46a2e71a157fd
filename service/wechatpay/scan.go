package wechatpay

import (
	"encoding/binary"
	"math/bits"
)

// The functions of this file walk over JSON (RFC 8259), and take for JSON what
// json.Valid does; a fuzz target holds the two together. Each starts at an index
// of raw and returns the one after what it passed, or notJSON. They may start
// at the end of raw.

const notJSON = -1

// at is the byte at i; 0, which no JSON has outside its strings, at the end.
func at(raw []byte, i int) byte {
	if i < len(raw) {
		return raw[i]
	}
	return 0
}

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\r' || raw[i] == '\t') {
		i++
	}
	return i
}

// skipValue passes a value that nests no deeper than levels.
func skipValue(raw []byte, i, levels int) int {
	switch c := at(raw, i); {
	case c == '"':
		return skipString(raw, i)
	case c == '{':
		return skipList(raw, i, levels, '}')
	case c == '[':
		return skipList(raw, i, levels, ']')
	case c == '-' || isDigit(c):
		return skipNumber(raw, i)
	case c == 't':
		return skipWord(raw, i, "true")
	case c == 'f':
		return skipWord(raw, i, "false")
	case c == 'n':
		return skipWord(raw, i, "null")
	}
	return notJSON
}

// skipList passes an object or an array, whose members or elements end with the bracket.
func skipList(raw []byte, i, levels int, bracket byte) int {
	if levels == 0 {
		return notJSON
	}
	if i = skipSpace(raw, i+1); at(raw, i) == bracket {
		return i + 1
	}
	for {
		if bracket == '}' {
			_, _, i = skipMember(raw, i, levels-1)
		} else {
			i = skipValue(raw, i, levels-1)
		}
		if i == notJSON {
			return notJSON
		}
		switch i = skipSpace(raw, i); at(raw, i) {
		case ',':
			i = skipSpace(raw, i+1)
		case bracket:
			return i + 1
		default:
			return notJSON
		}
	}
}

// skipMember passes one member of an object: the key lies in front of keyEnd,
// the value between value and end.
func skipMember(raw []byte, i, levels int) (keyEnd, value, end int) {
	if keyEnd = skipString(raw, i); keyEnd == notJSON {
		return notJSON, notJSON, notJSON
	}
	colon := skipSpace(raw, keyEnd)
	if at(raw, colon) != ':' {
		return notJSON, notJSON, notJSON
	}
	value = skipSpace(raw, colon+1)
	return keyEnd, value, skipValue(raw, value, levels)
}

// skipString passes a string. Like json.Valid it does not ask whether what is
// in it is UTF-8.
func skipString(raw []byte, i int) int {
	if at(raw, i) != '"' {
		return notJSON
	}
	for i++; ; {
		switch i = skipPlain(raw, i); at(raw, i) {
		case '"':
			return i + 1
		case '\\':
			if i = skipEscape(raw, i); i == notJSON {
				return notJSON
			}
		default:
			return notJSON
		}
	}
}

// skipPlain passes what means itself in a string, eight bytes at a time: a
// ciphertext is most of a callback.
func skipPlain(raw []byte, i int) int {
	for ; i+8 <= len(raw); i += 8 {
		if marks := markSpecial(binary.LittleEndian.Uint64(raw[i:])); marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
	}
	for i < len(raw) && raw[i] >= ' ' && raw[i] != '"' && raw[i] != '\\' {
		i++
	}
	return i
}

// markSpecial sets the top bit of the first of eight bytes that is a quote, a
// backslash or a control character; above that one it may set others.
//
// Source: https://graphics.stanford.edu/~seander/bithacks.html#HasLessInWord
func markSpecial(word uint64) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quote, backslash := word^ones*'"', word^ones*'\\'
	return ((quote-ones)&^quote | (backslash-ones)&^backslash | (word-ones*' ')&^word) & tops
}

func skipEscape(raw []byte, i int) int {
	switch at(raw, i+1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		for n := i + 2; n < i+6; n++ {
			if !isHex(at(raw, n)) {
				return notJSON
			}
		}
		return i + 6
	}
	return notJSON
}

func skipNumber(raw []byte, i int) int {
	if raw[i] == '-' {
		i++
	}
	switch c := at(raw, i); {
	case c == '0':
		i++
	case isDigit(c):
		i = skipDigits(raw, i)
	default:
		return notJSON
	}
	if at(raw, i) == '.' {
		if i = skipDigits(raw, i+1); i == notJSON {
			return notJSON
		}
	}
	if c := at(raw, i); c == 'e' || c == 'E' {
		if c := at(raw, i+1); c == '+' || c == '-' {
			i++
		}
		i = skipDigits(raw, i+1)
	}
	return i
}

// skipDigits passes one digit or more.
func skipDigits(raw []byte, i int) int {
	start := i
	for isDigit(at(raw, i)) {
		i++
	}
	if i == start {
		return notJSON
	}
	return i
}

func skipWord(raw []byte, i int, word string) int {
	end := i + len(word)
	if end > len(raw) || string(raw[i:end]) != word {
		return notJSON
	}
	return end
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
