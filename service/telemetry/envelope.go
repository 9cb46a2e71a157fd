package telemetry

// outerLimits and resourceLimits are the members of a v3 envelope and the
// longest value each may have here. Values are strings, without exception.
//
// Source: https://pay.weixin.qq.com/doc/v3/merchant/4012791861
var (
	outerLimits = map[string]int{
		"id": 64, "create_time": 40, "event_type": 64, "resource_type": 64, "summary": 256,
	}
	resourceLimits = map[string]int{
		"algorithm": 64, "nonce": 32, "associated_data": 64, "original_type": 64, "ciphertext": 2 << 20,
	}
)

// isEnvelope reports whether body is a v3 envelope and nothing more: known
// members only, each once, and a ciphertext. Anything beyond that could hold
// clear text, so such a body is not shown.
func isEnvelope(body []byte) bool {
	c := cursor{b: body}
	encrypted := false
	ok := c.object(func(key string) bool {
		if key != "resource" {
			return c.limited(outerLimits[key])
		}
		return c.object(func(key string) bool {
			encrypted = encrypted || key == "ciphertext"
			return c.limited(resourceLimits[key])
		})
	})
	c.space()
	return ok && encrypted && c.i == len(body)
}

// cursor reads the small part of JSON that an envelope is made of, without
// allocating: it runs for every callback.
type cursor struct {
	b []byte
	i int
}

func (c *cursor) space() {
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case ' ', '\t', '\r', '\n':
			c.i++
		default:
			return
		}
	}
}

func (c *cursor) take(want byte) bool {
	c.space()
	if c.i < len(c.b) && c.b[c.i] == want {
		c.i++
		return true
	}
	return false
}

// text reads a string and returns it as written, escapes and all.
func (c *cursor) text() (raw []byte, ok bool) {
	if !c.take('"') {
		return nil, false
	}
	for start := c.i; c.i < len(c.b); c.i++ {
		switch c.b[c.i] {
		case '\\':
			c.i++
		case '"':
			c.i++
			return c.b[start : c.i-1], true
		}
	}
	return nil, false
}

// limited reads a string of at most limit bytes; a member that is not known
// has limit 0, and no string fits it.
func (c *cursor) limited(limit int) bool {
	value, ok := c.text()
	return ok && limit > 0 && len(value) <= limit
}

// object reads an object whose members are read by member; a repeated member
// ends it.
func (c *cursor) object(member func(key string) bool) bool {
	if !c.take('{') {
		return false
	}
	if c.take('}') {
		return true
	}
	seen := make([]string, 0, 8)
	for {
		raw, ok := c.text()
		if !ok || !c.take(':') {
			return false
		}
		key := string(raw)
		for _, s := range seen {
			if s == key {
				return false
			}
		}
		if seen = append(seen, key); !member(key) {
			return false
		}
		if c.take('}') {
			return true
		}
		if !c.take(',') {
			return false
		}
	}
}
