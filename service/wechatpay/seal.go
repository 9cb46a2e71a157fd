package wechatpay

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"wxnotify/service/callback"
)

// sealKey keeps bodies readable for the merchant only. It is derived, so that
// the API key itself has one use; and it lives as long as that key is configured.
type sealKey struct {
	id   string
	aead cipher.AEAD
}

// The labels of what is derived from an API key. Changing one makes every
// stored body unreadable.
const (
	sealLabel        = "wxnotify/seal/v1"
	fingerprintLabel = "wxnotify/fingerprint/v1"
)

func newSealKey(secret []byte) (sealKey, error) {
	derived, err := hkdf.Key(sha256.New, secret, nil, sealLabel, 32)
	if err != nil {
		return sealKey{}, errors.New("key derivation failed")
	}
	fingerprint, err := hkdf.Key(sha256.New, secret, nil, fingerprintLabel, 8)
	if err != nil {
		return sealKey{}, errors.New("key derivation failed")
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return sealKey{}, errors.New("key derivation failed")
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return sealKey{id: hex.EncodeToString(fingerprint), aead: aead}, err
}

// Seal brings a body into the form in which it may be stored: a v3 envelope
// that has nothing but an envelope's fields stays as WeChat Pay encrypted it;
// everything else is sealed with the newest key of the merchant in the path.
// Without such a key the body is not kept.
func (o *Opener) Seal(env callback.Envelope) callback.Sealed {
	if len(env.Body) == 0 {
		return callback.Sealed{}
	}
	if env.API() == callback.V3 && isEncrypted(env.Body) {
		return callback.Sealed{Form: callback.SealWeChat, Bytes: env.Body}
	}
	m := o.ring.Load().byName[env.Merchant]
	if m == nil || len(m.seals) == 0 {
		return callback.Sealed{}
	}
	key := m.seals[0]
	return callback.Sealed{
		Form: callback.SealDerived, Key: key.id,
		Bytes: key.aead.Seal(nil, nil, env.Body, associated(m.name)),
	}
}

// Unseal gives back the body that Seal was given. The key that sealed it must
// still be among the merchant's, an old one will do.
func (o *Opener) Unseal(name string, s callback.Sealed) ([]byte, error) {
	switch s.Form {
	case callback.SealWeChat:
		return s.Bytes, nil
	case callback.SealDerived:
	default:
		return nil, errors.New("the body was not kept")
	}
	m := o.ring.Load().byName[name]
	if m == nil {
		return nil, fmt.Errorf("merchant %q is not configured", name)
	}
	for _, key := range m.seals {
		if key.id == s.Key {
			body, err := key.aead.Open(nil, nil, s.Bytes, associated(m.name))
			if err != nil {
				return nil, errors.New("the stored body was altered")
			}
			return body, nil
		}
	}
	return nil, fmt.Errorf("the key that sealed the body is no longer configured for merchant %q: put the old one back beside the new", name)
}

// associated binds a sealed body to its merchant and form.
func associated(merchant string) []byte {
	return []byte(merchant + "\x00" + string(callback.SealDerived))
}

// envelopeFields and resourceFields are all that a v3 envelope has, with the
// longest value each may have (bytes). The official limits are given in
// characters and differ between pages.
//
// Source: https://pay.weixin.qq.com/doc/v3/merchant/4012791836
var (
	envelopeFields = map[string]int{
		"id": 64, "create_time": 64, "event_type": 64, "resource_type": 64, "summary": 256,
	}
	resourceFields = map[string]int{
		"original_type": 64, "algorithm": 32, "associated_data": 64, "nonce": 12, "ciphertext": 2 << 20,
	}
)

// isEncrypted reports whether a body is a v3 envelope and holds nothing that is
// not one of its fields, so that what it says in clear is nobody's data.
func isEncrypted(raw []byte) bool {
	// The room for more members than an envelope has is the limit, too: anybody
	// can make us compare many long keys.
	var room [2][8]member
	outer, err := parseObject(room[0][:0], raw, len(room[0]))
	if err != nil {
		return false
	}
	for _, m := range outer {
		if string(m.key) != "resource" && !fits(m, envelopeFields) {
			return false
		}
	}
	inner, err := parseObject(room[1][:0], outer.raw("resource"), len(room[1]))
	if err != nil {
		return false
	}
	for _, m := range inner {
		if !fits(m, resourceFields) {
			return false
		}
	}
	encoded, _ := inner.text("ciphertext")
	nonce, _ := inner.text("nonce")
	algorithm, _ := inner.text("algorithm")
	var ciphertext [4 << 10]byte // as long as they get; a longer one is allocated
	_, err = parseResource(ciphertext[:0], encoded, nonce, nil)
	return err == nil && string(algorithm) == resourceAlgorithm
}

func fits(m member, limits map[string]int) bool {
	limit, known := limits[string(m.key)]
	value, isString := unquote(m.value)
	return known && isString && len(value) <= limit
}
