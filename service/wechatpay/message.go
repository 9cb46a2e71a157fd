package wechatpay

import (
	"slices"

	"wxnotify/service/callback"
)

// message is a decrypted v3 resource on its way to a notification.
type message struct {
	fields
	mchID string // of the merchant it was sent to
	n     callback.Notification
	// refusal is why it is not accepted though it is authentic.
	refusal *callback.Refusal
}

// read says what a decrypted resource is about and whether it is this merchant's.
func (m *merchant) read(b body, plaintext []byte) (callback.Notification, *callback.Refusal) {
	n := m.partial(b)
	top, err := parseObject(make(object, 0, 24), plaintext, maxMembers)
	if err != nil {
		return refuse(n, callback.ReasonMalformed, "the decrypted resource is not a JSON object with unambiguous keys")
	}
	msg := message{fields: fields{object: top}, mchID: m.mchID, n: n}
	msg.readIDs()
	how := familyOf(b.event)
	msg.n.Kind = how.kind
	if how.shape != nil {
		msg.bad = "" // only what the shape reads must be well-formed
		how.shape(&msg)
	}
	switch {
	case msg.refusal == nil && how.shape != nil && msg.bad != "":
		return refuse(msg.n, callback.ReasonMalformed, msg.bad+" does not have the form it should have")
	case msg.refusal == nil && !m.owns(&msg):
		return refuse(msg.n, callback.ReasonMerchantMismatch, "the message names another mchid or appid than merchant "+m.name+" has: check mchid, appids and notify_url")
	case msg.refusal != nil:
		msg.refusal.Notification = &msg.n
		return callback.Notification{}, msg.refusal
	}
	return msg.n, nil
}

// readIDs takes the well-known ids from the top level, where they are usable.
func (msg *message) readIDs() {
	n := &msg.n
	n.MchID = msg.first("combine_mchid", "sp_mchid", "mchid")
	n.AppID = msg.first("combine_appid", "sp_appid", "appid")
	n.OutTradeNo = msg.first("combine_out_trade_no", "out_trade_no")
	n.TransactionID = msg.id("transaction_id")
	n.OutRefundNo = msg.id("out_refund_no")
	n.RefundID = msg.id("refund_id")
	n.State = msg.first("trade_state", "refund_status", "state")
	n.ResultCode = n.State
	if at, ok := msg.text("success_time"); ok {
		n.Succeeded = parseTime(string(at))
	}
}

// first is the first of several ids that is there.
func (msg *message) first(keys ...string) string {
	for _, key := range keys {
		if id := msg.id(key); id != "" {
			return id
		}
	}
	return ""
}

// owns reports whether the message is the merchant's own, as far as it names
// one. A profit sharing notice (分账动账通知) goes to the receiver of the share
// and names who shares: https://pay.weixin.qq.com/doc/v3/merchant/4012289679
func (m *merchant) owns(msg *message) bool {
	n := msg.n
	if n.MchID != "" && n.MchID != m.mchID && !(n.Kind == callback.ProfitSharing && msg.receivedBy(m.mchID)) {
		return false
	}
	if len(m.appIDs) == 0 || n.AppID == "" && n.Kind != callback.Payment {
		return true
	}
	return n.Kind == callback.ProfitSharing || slices.Contains(m.appIDs, n.AppID)
}

func (msg *message) receivedBy(mchID string) bool {
	receiver, err := msg.object.object(nil, "receiver")
	if err != nil {
		return false
	}
	account, ok := receiver.text("account")
	return ok && string(account) == mchID
}
