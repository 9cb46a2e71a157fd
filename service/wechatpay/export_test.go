package wechatpay

import (
	"crypto/aes"
	"time"

	"wxnotify/service/callback"
)

// What published vectors and fuzz targets need and the operator does not.

// DecryptResource opens a resource under a key of any AES length, as some of
// the published vectors have.
func DecryptResource(key []byte, nonce, associated, ciphertext string) ([]byte, bool) {
	aead, err := newGCM(key)
	if err != nil {
		return nil, false
	}
	r, err := parseResource(nil, []byte(ciphertext), []byte(nonce), []byte(associated))
	if err != nil {
		return nil, false
	}
	return (&apiv3Key{aead: aead}).open(r)
}

// DecryptRefund opens req_info bytes under an AES key that is given itself.
func DecryptRefund(key, sealed []byte) ([]byte, bool) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, false
	}
	return (&apiv2Key{refunds: block}).openRefund(sealed)
}

// SignV2 signs name, value, name, value ….
func SignV2(key []byte, kind SignPolicy, fields ...string) string {
	var p pairs
	for i := 0; i < len(fields); i += 2 {
		p = append(p, pair{fields[i], fields[i+1]})
	}
	return (&apiv2Key{secret: key}).sign(p.sorted(), kind)
}

// ParseXML gives names and values in turn.
func ParseXML(raw []byte, root string) ([]string, error) {
	p, err := parseXML(raw, root)
	var flat []string
	for _, e := range p {
		flat = append(flat, e.name, e.value)
	}
	return flat, err
}

// ParseObject gives the keys of a JSON object and their raw values.
func ParseObject(raw []byte) (map[string]string, error) {
	o, err := parseObject(nil, raw, maxMembers)
	m := make(map[string]string, len(o))
	for _, e := range o {
		m[string(e.key)] = string(e.value)
	}
	return m, err
}

// ValidJSON is json.Valid as this package sees it: with a bound to the depth.
func ValidJSON(raw []byte) bool {
	i := skipValue(raw, skipSpace(raw, 0), maxDepth)
	return i != notJSON && skipSpace(raw, i) == len(raw)
}

// IsObject parses a JSON object and throws it away.
func IsObject(raw []byte) bool {
	var room [16]member
	_, err := parseObject(room[:0], raw, maxMembers)
	return err == nil
}

// OpenBody opens a v3 body as if its signature were good.
func OpenBody(o *Opener, merchant string, raw []byte) (callback.Notification, *callback.Refusal) {
	return o.ring.Load().byName[merchant].openBody(raw, time.Time{})
}

// Read reads a decrypted resource.
func Read(event string, plaintext []byte) (callback.Notification, *callback.Refusal) {
	m := &merchant{name: "shop", mchID: "1900000109"}
	return m.read(body{id: "EV-1", event: event}, plaintext)
}
