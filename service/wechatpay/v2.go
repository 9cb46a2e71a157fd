package wechatpay

import (
	"bytes"

	"wxnotify/service/callback"
)

// openV2 opens an XML callback of the older interface: a signed payment notice,
// or a refund notice that is encrypted and not signed. A v2 message carries no
// time, so one that was captured can be sent again for ever; that the payment
// happens once is the store's doing.
func (r *ring) openV2(env callback.Envelope) (callback.Notification, *callback.Refusal) {
	msg, err := parseXML(env.Body, "xml")
	if err != nil {
		return callback.Notification{}, unreadable(env.Body)
	}
	if msg.get("sign") == "" && msg.get("req_info") == "" {
		return callback.Notification{}, callback.Refuse(callback.ReasonUnsigned, "neither sign nor req_info")
	}
	if m := r.byName[env.Merchant]; m != nil {
		return m.openV2(msg, env)
	}
	refusal := callback.Refuse(callback.ReasonUnknownMerchant, "the path names no configured merchant")
	return callback.Notification{}, r.diagnoseV2(env, msg, refusal)
}

// unreadable judges XML that could not be read: without anything that looks
// like a proof it is junk.
func unreadable(raw []byte) *callback.Refusal {
	if bytes.Contains(raw, []byte("<sign>")) || bytes.Contains(raw, []byte("<req_info>")) {
		return callback.Refuse(callback.ReasonSignatureInvalid, "not a flat XML message, so the signature cannot be checked")
	}
	return callback.Refuse(callback.ReasonUnsigned, "neither a flat XML message nor a v3 one")
}

func (m *merchant) openV2(msg pairs, env callback.Envelope) (callback.Notification, *callback.Refusal) {
	switch {
	case len(m.v2) == 0:
		return callback.Notification{}, callback.Refuse(callback.ReasonKeyUnknown, "merchant "+m.name+" has no v2 key: v2 callbacks are not accepted")
	case msg.get("sign") != "":
		return m.openNotice(msg, env)
	default:
		return m.openRefund(msg, env)
	}
}

// diagnoseV2 asks every merchant's keys about a message on an unknown path.
func (r *ring) diagnoseV2(env callback.Envelope, msg pairs, refusal *callback.Refusal) *callback.Refusal {
	work := maxDiagnosedWork
	for _, m := range r.inOrder {
		if len(m.v2) == 0 {
			continue
		}
		if work -= len(env.Body) * len(m.v2); work < 0 {
			break
		}
		if n, why := m.openV2(msg, env); why == nil || why.Class == callback.Proven {
			return proven(refusal, n, why, "a v2 key of merchant "+m.name+" fits it")
		}
	}
	return refusal
}
