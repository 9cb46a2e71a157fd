package wechatpay

import "wxnotify/service/callback"

// Diagnosis costs a stranger nothing and us something, so it is bounded: by the
// size of a body that is looked into, and by the bytes decrypted for one
// callback over all keys that are tried. Both are far above real messages of
// 0.6 to 4 KiB.
const (
	maxDiagnosedBody = 256 << 10
	maxDiagnosedWork = 4 << 20
)

// diagnose looks into a message that is already refused. Only a holder of the
// merchant's APIv3 key can have made a tag that opens, so a message that opens
// is authentic: a proxy dropped headers, the path is wrong, a key is missing or
// the body was rewritten. It stays refused, for the same reason.
//
// The clear part around the resource (id, event type) is not covered by the
// tag: it is what the message says, good for finding it again.
func (r *ring) diagnose(env callback.Envelope, refusal *callback.Refusal) *callback.Refusal {
	if len(env.Body) > maxDiagnosedBody {
		return refusal
	}
	b, err := parseBody(env.Body)
	if err != nil || string(b.algorithm) != resourceAlgorithm {
		return refusal
	}
	work := maxDiagnosedWork
	for _, m := range r.suspects(env) {
		for _, key := range m.v3 {
			if work -= len(b.ciphertext); work < 0 {
				return refusal
			}
			if plaintext, ok := key.open(b.resource); ok {
				key.used.mark(env.Received)
				n, why := m.read(b, plaintext)
				return proven(refusal, n, why, "its resource opens with an APIv3 key of merchant "+m.name)
			}
		}
	}
	return refusal
}

// suspects are the merchants whose keys may explain a refused message: the one
// in the path, or all when the path names none.
func (r *ring) suspects(env callback.Envelope) []*merchant {
	if m := r.byName[env.Merchant]; m != nil {
		return []*merchant{m}
	}
	return r.inOrder
}

// proven adds what diagnosis found: the class and the message. A probe stays a
// probe, and is watched for its re-send.
func proven(refusal *callback.Refusal, n callback.Notification, why *callback.Refusal, how string) *callback.Refusal {
	refusal.Notification = &n
	if why != nil {
		refusal.Notification = why.Notification
	}
	if refusal.Reason != callback.ReasonProbe {
		refusal = refusal.InClass(callback.Proven)
	}
	refusal.Detail += "; " + how + ", so it is authentic"
	return refusal
}
