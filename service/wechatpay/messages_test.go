package wechatpay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/wechatpay"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// What testdata/generate.py made its messages with.
const (
	apiv3Key     = "2f9ZqLxT7mWc4RkVb8NyGd3PsHj6EuAa"
	oldAPIv3Key  = "oldKey0oldKey1oldKey2oldKey3oldK"
	apiv2Key     = "192006250b4c09247ec02edce69f6a2d"
	publicKeyID  = "PUB_KEY_ID_0119000001092024112000389600000001"
	messagesTime = 1760000000
)

// message is one callback of testdata/messages.json.
type message struct {
	Name    string             `json:"name"`
	Headers callback.Signature `json:"headers"`
	Body    string             `json:"body"`
}

func (m message) envelope() callback.Envelope {
	return callback.Envelope{
		ID: m.Name, Merchant: "shop", Received: time.Unix(messagesTime, 0),
		Signature: m.Headers, Body: []byte(m.Body),
	}
}

// messages were signed and encrypted by openssl and Python, not by Go.
func messages(t testing.TB) map[string]message {
	t.Helper()
	var list []message
	if err := json.Unmarshal(readFile(t, "messages.json"), &list); err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]message, len(list))
	for _, m := range list {
		byName[m.Name] = m
	}
	return byName
}

// shop is the merchant that the messages were sent to.
func shop(t testing.TB) wechatpay.Merchant {
	t.Helper()
	return wechatpay.Merchant{
		Name: "shop", MchID: "1900000109", AppIDs: []string{"wxd678efh567hg6787"},
		Verify: []wechatpay.VerifyKey{
			parseKey(t, "", readFile(t, "platform.pem")),
			parseKey(t, publicKeyID, readFile(t, "pub_key.pem")),
		},
		APIv3: [][]byte{[]byte(apiv3Key), []byte(oldAPIv3Key)},
		V2:    wechatpay.V2{Keys: [][]byte{[]byte(apiv2Key)}},
	}
}

// verdict is what a golden file keeps of one Open.
type verdict struct {
	Reason       callback.Reason        `json:"reason,omitempty"`
	Class        callback.Class         `json:"class,omitempty"`
	Detail       string                 `json:"detail,omitempty"`
	Notification *callback.Notification `json:"-"`
	Read         map[string]any         `json:"read,omitempty"` // the notification's fields that are not zero
}

func (v verdict) accepted() bool { return v.Reason == "" }

func judge(t testing.TB, o *wechatpay.Opener, env callback.Envelope) verdict {
	t.Helper()
	n, err := o.Open(context.Background(), env)
	if err == nil {
		return verdict{Notification: &n, Read: nonZero(&n)}
	}
	var refusal *callback.Refusal
	if !errors.As(err, &refusal) || n != (callback.Notification{}) {
		t.Fatalf("Open = %+v, %v; want an empty notification and a refusal", n, err)
	}
	return verdict{Reason: refusal.Reason, Class: refusal.Class, Detail: refusal.Detail, Notification: refusal.Notification, Read: nonZero(refusal.Notification)}
}

func nonZero(n *callback.Notification) map[string]any {
	if n == nil {
		return nil
	}
	fields := make(map[string]any)
	for f, v := range reflect.ValueOf(*n).Fields() {
		if !v.IsZero() {
			fields[f.Name] = v.Interface()
		}
	}
	return fields
}

// TestVerdicts opens every message of the second implementation and compares
// with the golden file: reason, class, detail and all that was read.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	o := newOpener(t, shop(t))
	got := make(map[string]verdict)
	for name, m := range messages(t) {
		got[name] = judge(t, o, m.envelope())
	}
	golden(t, "verdicts.golden.json", got)
}

func golden(t *testing.T, name string, value any) {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(value); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := readFile(t, name); !bytes.Equal(want, b.Bytes()) {
		t.Errorf("%s is out of date; run go test -update and read the difference. Got:\n%s", name, b.Bytes())
	}
}

func newOpener(t testing.TB, merchants ...wechatpay.Merchant) *wechatpay.Opener {
	t.Helper()
	o, err := wechatpay.New(merchants)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func parseKey(t testing.TB, id string, pem []byte) wechatpay.VerifyKey {
	t.Helper()
	key, err := wechatpay.ParseVerifyKey(id, pem)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
