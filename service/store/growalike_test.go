package store_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"wxnotify/service/callback"
	"wxnotify/service/store"
)

var madeUp atomic.Int64 // payments so far

// payment is one arrival of a payment that looks like WeChat Pay's.
func payment() callback.Entry {
	i, now := madeUp.Add(1), time.Now()
	merchant := fmt.Sprintf("shop-%d", i%grownMerchants)
	n := callback.Notification{
		ID: uuid.NewString(), API: callback.V3, Kind: callback.Payment, EventType: "TRANSACTION.SUCCESS",
		Merchant: merchant, MchID: fmt.Sprint(1900010000 + i%grownMerchants), AppID: "wx" + digits(16),
		OutTradeNo:    fmt.Sprintf("N%s%d", now.Format("20060102"), 1000000000+i),
		TransactionID: fmt.Sprintf("420000%d%s%d", 1000+i%9000, now.Format("20060102"), 1000000000+i*2654435761%9000000000),
		State:         "SUCCESS", ResultCode: "SUCCESS", Amount: callback.Money{Minor: 100 + i, Currency: "CNY"},
		Created: now.Add(-1500 * time.Millisecond), Succeeded: now.Add(-2 * time.Second),
	}
	n.Key = "payment/" + n.TransactionID
	body := []byte(`{"id":"` + n.ID + `","create_time":"2026-05-01T12:00:00+08:00","resource_type":"encrypt-resource",` +
		`"event_type":"TRANSACTION.SUCCESS","summary":"支付成功","resource":{"original_type":"transaction","algorithm":"AEAD_AES_256_GCM",` +
		`"ciphertext":"` + digits(868) + `","associated_data":"transaction","nonce":"` + digits(12) + `"}}`)
	e := callback.Envelope{
		ID: uuid.Must(uuid.NewV7()).String(), Merchant: merchant, Received: now, Read: now, ContentType: "application/json",
		Peer: netip.AddrFrom4([4]byte{101, 226, 103, byte(100 + i%100)}), Body: body, Length: int64(len(body)),
		Signature: callback.Signature{
			Serial: strings.ToUpper(digits(40)), Timestamp: fmt.Sprint(now.Unix()), Nonce: digits(32),
			Type: "WECHATPAY2-SHA256-RSA2048", Value: digits(344),
		},
		Trace: fmt.Sprintf("00-%s-%s-01", digits(32), digits(16)),
	}
	return callback.Entry{Envelope: e, Notification: &n, Body: callback.Sealed{Form: callback.SealWeChat, Key: "k" + digits(15), Bytes: body}}
}

// digits are random and hexadecimal.
func digits(n int) string {
	b := make([]byte, n/2+1)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)[:n]
}

// What is measured on generated rows holds for real ones only if they are alike.
func TestGrownIsAlike(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := store.Options{Path: filepath.Join(dir, "wxnotify.db"), Destinations: []string{"shop"}}
	if _, _, err := store.Migrate(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	raw, err := sqlx.Open("sqlite", "file:"+o.Path)
	if err != nil {
		t.Fatal(err)
	}
	grow(t, "SQLite", raw, 2000, func(int64) {})
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	alike(t, o, sqlite().Raw(t, o))
}

// alike records a payment beside the generated ones and compares them by column:
// what is empty or null, and how long the rest is.
func alike(t testing.TB, o store.Options, raw *sqlx.DB) {
	t.Helper()
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	e := payment()
	if _, err := db.Record(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	db.Answered(e.Envelope.ID, 204, time.Now(), 4*time.Millisecond)
	answered := raw.Rebind(`SELECT count(*) FROM callbacks WHERE answered_status = 204 AND id = ?`)
	eventually(t, func() bool { return number(t, raw.DB, answered, e.Envelope.ID) == 1 })
	const ordinary = 10
	for table, key := range map[string]string{"callbacks": "seq", "notifications": "id", "outbox": "notification", "orders": "out_trade_no"} {
		var made, latest any = ordinary, ""
		if key == "out_trade_no" {
			latest = e.Notification.OutTradeNo
			if err := raw.Get(&made, raw.Rebind(`SELECT out_trade_no FROM notifications WHERE id = ?`), ordinary); err != nil {
				t.Fatal(err)
			}
		} else if err := raw.Get(&latest, `SELECT max(`+key+`) FROM `+table); err != nil {
			t.Fatal(err)
		}
		generated, recorded := row(t, raw, table, key, made), row(t, raw, table, key, latest)
		for column, want := range recorded {
			if got := generated[column]; !similar(got, want) && column != key && (table != "outbox" || !state[column]) {
				t.Errorf("%s.%s: generated %.80q, recorded %.80q", table, column, got, want)
			}
		}
	}
}

// state are the columns by which an event that was delivered differs from one
// that is new.
var state = map[string]bool{"state": true, "attempts": true, "done_at": true}

// row is one row as texts.
func row(t testing.TB, raw *sqlx.DB, table, key string, value any) map[string]string {
	t.Helper()
	values := make(map[string]any)
	if err := raw.QueryRowx(raw.Rebind(`SELECT * FROM `+table+` WHERE `+key+` = ?`), value).MapScan(values); err != nil {
		t.Fatalf("%s %v: %v", table, value, err)
	}
	texts := make(map[string]string, len(values))
	for column, v := range values {
		switch v := v.(type) {
		case nil:
			texts[column] = "NULL"
		case []byte:
			texts[column] = string(v)
		default:
			texts[column] = fmt.Sprint(v)
		}
	}
	return texts
}

// similar allows for numbers of any size; texts may differ by a tenth in length.
func similar(a, b string) bool {
	if (a == "NULL") != (b == "NULL") || (a == "") != (b == "") || (a == "0") != (b == "0") {
		return false
	}
	_, notA := strconv.ParseInt(a, 10, 64)
	if _, notB := strconv.ParseInt(b, 10, 64); notA == nil && notB == nil {
		return true
	}
	more, less := max(len(a), len(b)), min(len(a), len(b))
	return more-less <= 4 || more-less <= more/10
}
