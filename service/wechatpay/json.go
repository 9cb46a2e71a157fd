package wechatpay

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

const (
	maxDepth   = 32  // real messages have 4 levels
	maxMembers = 256 // of one object; real ones have about 25
	maxKey     = 128 // characters; the longest real one has about 30
)

var errNotObject = errors.New("not a single well-formed JSON object")

// object is one level of a JSON object with its values still raw. Unlike
// encoding/json it refuses keys that are equal or differ in case only: two
// readers could disagree about which of them counts.
type object []member

type member struct{ key, value []byte }

// parseObject splits the outermost level of a JSON document and validates all
// of it in the same pass. The members point into raw; they are appended to o, up
// to limit of them.
func parseObject(o object, raw []byte, limit int) (object, error) {
	i := skipSpace(raw, 0)
	if at(raw, i) != '{' {
		return nil, errNotObject
	}
	i = skipSpace(raw, i+1)
	for more := at(raw, i) != '}'; more; {
		keyEnd, value, end := skipMember(raw, i, maxDepth-1)
		if end == notJSON {
			return nil, errNotObject
		}
		key, ok := unquote(raw[i:keyEnd])
		if !ok || utf8.RuneCount(key) > maxKey || len(o) == limit || o.has(key) {
			return nil, errNotObject
		}
		o = append(o, member{key, raw[value:end]})
		i = skipSpace(raw, end)
		if more = at(raw, i) == ','; more {
			i = skipSpace(raw, i+1)
		}
	}
	if at(raw, i) != '}' || skipSpace(raw, i+1) != len(raw) {
		return nil, errNotObject
	}
	return o, nil
}

// has is quadratic on purpose: below maxMembers and maxKey it is cheaper than a
// map.
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

// text is the string at a key: empty when absent, not ok when it is no string.
func (o object) text(key string) (s []byte, ok bool) {
	raw := o.raw(key)
	if raw == nil {
		return nil, true
	}
	return unquote(raw)
}

// object appends the members of the object at a key to inner: none when absent.
func (o object) object(inner object, key string) (object, error) {
	raw := o.raw(key)
	if raw == nil {
		return nil, nil
	}
	return parseObject(inner, raw, maxMembers)
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
