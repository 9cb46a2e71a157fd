package telemetry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"wxnotify/service/callback"
)

const (
	// idLimit caps whatever a sender chose: ids, serials, nonces.
	idLimit = 128
	// signatureShown is enough of a signature to recognise a probe by.
	signatureShown = 12
	// fieldsUsual is room for the fields of any record.
	fieldsUsual = 32
)

// write makes the canonical record once and hands it to every output.
func (t *Telemetry) write(ctx context.Context, s *story, v verdict, took time.Duration) {
	level := severity(v)
	if !t.handler.Enabled(ctx, level) {
		return
	}
	suppressed, allowed := t.strangers.allow(v)
	if !allowed {
		return
	}
	r := slog.NewRecord(time.Now(), level, EventHandled, 0)
	var room [fieldsUsual]slog.Attr // on the stack: the record copies them
	r.AddAttrs(fields(room[:0], s, v, took, suppressed)...)
	// Both outputs are queues; their errors are counted where they happen.
	_ = t.handler.Handle(ctx, r)
}

// severity: a proven failure is somebody's money or our fault.
func severity(v verdict) slog.Level {
	switch {
	case v.outcome != callback.Failed:
		return slog.LevelInfo
	case v.class == callback.Proven:
		return slog.LevelError
	}
	return slog.LevelWarn
}

// fields adds the record's fields in the order in which a person reads them.
// A field without a value is left out.
func fields(attrs []slog.Attr, s *story, v verdict, took time.Duration, suppressed int64) []slog.Attr {
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, clip(value, idLimit)))
		}
	}
	text(FieldCallbackID, s.env.ID)
	text(FieldMerchant, v.merchant)
	text(FieldAPI, string(v.api))
	text(FieldStatus, string(v.outcome))
	text(FieldReason, string(v.reason))
	text(FieldClass, string(v.class))
	if v.detail != "" { // our own words already; masked once more, as a second lock
		attrs = append(attrs, slog.String(FieldDetail, mask(clip(v.detail, 2*idLimit))))
	}
	attrs = append(attrs, slog.Int(FieldHTTPStatus, v.status), slog.Float64(FieldDuration, took.Seconds()))
	if n := v.known; n != nil {
		text(FieldEventType, n.EventType)
		text(FieldNotificationID, n.ID)
		text(FieldTransactionID, n.TransactionID)
		text(FieldOutTradeNo, n.OutTradeNo)
		text(FieldRefundID, n.RefundID)
		text(FieldOutRefundNo, n.OutRefundNo)
		text(FieldResultCode, n.ResultCode)
	}
	if v.trail.Arrival > 0 {
		attrs = append(attrs, slog.Int(FieldArrival, v.trail.Arrival))
	}
	text(FieldEventID, v.event)
	if v.trail.Spooled {
		attrs = append(attrs, slog.Bool(FieldSpooled, true))
	}
	text(FieldPeer, network(s.env.Peer))
	sig := s.env.Signature
	text(FieldSerial, sig.Serial)
	text(FieldTimestamp, sig.Timestamp)
	text(FieldNonce, sig.Nonce)
	text(FieldSignatureType, sig.Type)
	if sig.Value != "" {
		attrs = append(attrs, slog.String(FieldSignatureValue, clip(sig.Value, signatureShown)),
			slog.String(FieldSignatureHash, digest([]byte(sig.Value))))
	}
	if len(s.env.Body) > 0 {
		attrs = append(attrs, slog.String(FieldBody, bodyText(s.env.Body, v.api, s.authentic, s.form)),
			slog.String(FieldBodyHash, digest(s.env.Body)))
	}
	attrs = append(attrs, slog.Int64(FieldBodySize, max(s.env.Length, int64(len(s.env.Body)))))
	if suppressed > 0 {
		attrs = append(attrs, slog.Int64(FieldSuppressed, suppressed))
	}
	return attrs
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// network keeps of an address what tells WeChat Pay's networks from others.
func network(peer netip.Addr) string {
	bits := 48
	if peer = peer.Unmap(); peer.Is4() {
		bits = 24
	}
	prefix, err := peer.WithZone("").Prefix(bits)
	if err != nil {
		return ""
	}
	return prefix.String()
}

// clip cuts s to at most limit bytes and makes it valid UTF-8: OTLP cannot
// carry anything else, and one bad string would cost the whole batch.
func clip(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
		for i := 0; i < utf8.UTFMax && len(s) > 0; i++ { // do not cut through a character
			if r, size := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || size != 1 {
				break
			}
			s = s[:len(s)-1]
		}
	}
	if utf8.ValidString(s) { // eight bytes at a time
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
