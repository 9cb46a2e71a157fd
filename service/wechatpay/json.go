package wechatpay

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

const (
	maxDepth   = 32  // real messages have 4 levels
	maxMembers = 256 // of one object; real ones have about 25
)

var errNotObject = errors.New("not a single well-formed JSON object")

// object is one level of a JSON object with its values still raw. Unlike
// encoding/json it refuses keys that are equal or differ in case only: two
// readers could disagree about which of them counts.
type object []member

type member struct{ key, value []byte }

// parseObject reads the outermost level of a JSON document.
func parseObject(raw []byte) (object, error) {
	if !json.Valid(raw) || depth(raw) > maxDepth {
		return nil, errNotObject
	}
	return members(raw)
}

// members splits one object, which must be a piece of valid JSON.
func members(raw []byte) (object, error) {
	i := skipSpace(raw, 0)
	if raw[i] != '{' {
		return nil, errNotObject
	}
	o := make(object, 0, 24)
	for i = skipSpace(raw, i+1); raw[i] != '}'; {
		end := valueEnd(raw, i)
		key, ok := unquote(raw[i:end])
		if !ok || len(o) == maxMembers || o.has(key) {
			return nil, errNotObject
		}
		i = skipSpace(raw, skipSpace(raw, end)+1) // over the colon
		end = valueEnd(raw, i)
		o = append(o, member{key, raw[i:end]})
		if i = skipSpace(raw, end); raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
	return o, nil
}

// has is quadratic on purpose: below maxMembers it is cheaper than a map.
func (o object) has(key []byte) bool {
	for _, m := range o {
		if bytes.EqualFold(m.key, key) {
			return true
		}
	}
	return false
}

// raw is the value of a key, or nil when it is absent or null.
func (o object) raw(key string) []byte {
	for _, m := range o {
		if string(m.key) == key && string(m.value) != "null" {
			return m.value
		}
	}
	return nil
}

// text is the string at a key: "" when absent, not ok when it is no string.
func (o object) text(key string) (s string, ok bool) {
	raw := o.raw(key)
	if raw == nil {
		return "", true
	}
	b, ok := unquote(raw)
	return string(b), ok
}

// object is the object at a key: empty when absent.
func (o object) object(key string) (object, error) {
	raw := o.raw(key)
	if raw == nil {
		return nil, nil
	}
	return members(raw)
}

// unquote gives a JSON string's content, without a copy where nothing is escaped.
func unquote(raw []byte) ([]byte, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return nil, false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], true
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return nil, false
	}
	return []byte(s), true
}

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && strings.IndexByte(" \t\r\n", raw[i]) >= 0 {
		i++
	}
	return i
}

// valueEnd is the index after the value that starts at i.
func valueEnd(raw []byte, i int) int {
	level := 0
	for ; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = stringEnd(raw, i)
			if level == 0 {
				return i + 1
			}
		case '{', '[':
			level++
		case '}', ']':
			if level--; level == 0 {
				return i + 1
			} else if level < 0 {
				return i
			}
		case ',', ' ', '\t', '\r', '\n':
			if level == 0 {
				return i
			}
		}
	}
	return i
}

// stringEnd is the index of the quote that ends the string starting at i.
func stringEnd(raw []byte, i int) int {
	for i++; raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			i++
		}
	}
	return i
}

// depth is how deeply a piece of valid JSON nests.
func depth(raw []byte) int {
	level, deepest := 0, 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = stringEnd(raw, i)
		case '{', '[':
			level++
			deepest = max(deepest, level)
		case '}', ']':
			level--
		}
	}
	return deepest
}
