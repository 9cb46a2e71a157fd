package wechatpay

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"time"

	"wxnotify/service/callback"
)

const resourceAlgorithm = "AEAD_AES_256_GCM"

// body is the clear part of a v3 message and its encrypted resource.
//
// Source: https://pay.weixin.qq.com/doc/v3/merchant/4012791836
type body struct {
	id, event string
	created   time.Time
	algorithm []byte
	resource
}

// resource is one AES-GCM message: base64 decoded, its lengths checked.
type resource struct {
	nonce, associated []byte
	ciphertext        []byte // with the tag at its end
}

// apiv3Key decrypts resources.
type apiv3Key struct {
	aead cipher.AEAD
	used *lastUse
}

func newGCM(secret []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, errors.New("key length is not one of AES")
	}
	return cipher.NewGCM(block)
}

// parseBody reads the clear part. What it returns beside an error is as much as
// could be read.
func parseBody(raw []byte) (b body, err error) {
	var room [2][8]member // as many as an envelope has, without an allocation
	outer, err := parseObject(room[0][:0], raw, maxMembers)
	if err != nil {
		return b, errors.New("the body is not a JSON object with unambiguous keys")
	}
	f := fields{object: outer}
	b.id, b.event = f.id("id"), f.id("event_type")
	// create_time is written in more than one way and never a reason to refuse.
	if text, ok := outer.text("create_time"); ok {
		b.created = parseTime(string(text))
	}
	if b.id == "" || b.event == "" {
		return b, errors.New("id or event_type is missing or not usable")
	}
	inner, err := outer.object(room[1][:0], "resource")
	if err != nil || inner == nil {
		return b, errors.New("resource is missing or not an object with unambiguous keys")
	}
	var ok [4]bool
	var encoded []byte
	b.algorithm, ok[0] = inner.text("algorithm")
	b.nonce, ok[1] = inner.text("nonce")
	b.associated, ok[2] = inner.text("associated_data")
	encoded, ok[3] = inner.text("ciphertext")
	if ok != [4]bool{true, true, true, true} {
		return b, errors.New("a field of resource is not a string")
	}
	// The plaintext will lie behind the ciphertext.
	both := make([]byte, 0, 2*base64.StdEncoding.DecodedLen(len(encoded)))
	b.resource, err = parseResource(both, encoded, b.nonce, b.associated)
	return b, err
}

// parseResource checks the lengths that crypto/cipher would panic about. It
// appends the decoded ciphertext to room.
func parseResource(room, encoded, nonce, associated []byte) (resource, error) {
	const nonceSize, tagSize = 12, 16
	ciphertext, err := base64.StdEncoding.AppendDecode(room, encoded)
	switch {
	case err != nil:
		return resource{}, errors.New("resource.ciphertext is not base64")
	case len(ciphertext) < tagSize:
		return resource{}, errors.New("resource.ciphertext is shorter than its tag")
	case len(nonce) != nonceSize:
		return resource{}, errors.New("resource.nonce does not have 12 bytes")
	}
	return resource{nonce: nonce, associated: associated, ciphertext: ciphertext}, nil
}

// open decrypts to behind the ciphertext and not in place, so that the
// ciphertext can be tried with the next key.
func (k *apiv3Key) open(r resource) ([]byte, bool) {
	plaintext, err := k.aead.Open(r.ciphertext[len(r.ciphertext):], r.nonce, r.ciphertext, r.associated)
	return plaintext, err == nil
}

// openBody decrypts and reads a body whose signature is good.
func (m *merchant) openBody(raw []byte, at time.Time) (callback.Notification, *callback.Refusal) {
	b, err := parseBody(raw)
	if err != nil {
		return refuse(m.partial(b), callback.ReasonMalformed, err.Error())
	}
	if string(b.algorithm) != resourceAlgorithm {
		return refuse(m.partial(b), callback.ReasonDecryptFailed, "resource.algorithm is not "+resourceAlgorithm+" (国密 SM4 is not supported)")
	}
	for _, key := range m.v3 {
		if plaintext, ok := key.open(b.resource); ok {
			key.used.mark(at)
			return m.read(b, plaintext)
		}
	}
	return refuse(m.partial(b), callback.ReasonDecryptFailed, "the signature is good, but none of the APIv3 keys of merchant "+m.name+" opens the resource: was the APIv3 key changed?")
}

// partial is what the clear part alone tells: enough to recognise the re-send.
func (m *merchant) partial(b body) callback.Notification {
	n := callback.Notification{
		ID: b.id, API: callback.V3, EventType: b.event, Kind: callback.Other,
		Merchant: m.name, Created: b.created,
	}
	if b.id != "" {
		n.Key = "notification/" + b.id
	}
	return n
}

// refuse makes a refusal that carries what is known of the message, if that is
// enough to recognise it by.
func refuse(n callback.Notification, reason callback.Reason, detail string) (callback.Notification, *callback.Refusal) {
	refusal := callback.Refuse(reason, detail)
	if n.Key != "" {
		refusal.Notification = &n
	}
	return callback.Notification{}, refusal
}
