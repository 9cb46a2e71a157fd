package wechat_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wechatpay-apiv3/wechatpay-go/core"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"
	"go.uber.org/goleak"

	"wxnotify/service/simulator/wechat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// account makes its keys once: they take a while.
var account = sync.OnceValues(func() (*wechat.Merchant, error) { return wechat.NewMerchant("shop") })

// merchantAt is the account with a notify_url.
func merchantAt(t testing.TB, url string) *wechat.Merchant {
	t.Helper()
	made, err := account()
	if err != nil {
		t.Fatal(err)
	}
	m := *made
	m.NotifyURL = url
	return &m
}

// sdk is WeChat Pay's own Go SDK, configured from the files that WriteKeys
// writes: a third reading of the protocol.
func sdk(t testing.TB, m *wechat.Merchant) *notify.Handler {
	t.Helper()
	f, err := m.WriteKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(pemBlock(t, f.Certificate))
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKIXPublicKey(pemBlock(t, f.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	h, err := notify.NewRSANotifyHandler(m.APIv3Key, verifiers.NewSHA256WithRSACombinedVerifier(
		core.NewCertificateMapWithList([]*x509.Certificate{cert}), m.PublicKeyID, *rsaKey(t, key)))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func pemBlock(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatalf("%s is no PEM file", path)
	}
	return block.Bytes
}

// open is what the SDK makes of a sending: its content, decrypted.
func open(h *notify.Handler, s wechat.Sending) (map[string]any, error) {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(s.Body))
	r.Header = s.Header
	var content map[string]any
	req, err := h.ParseNotifyRequest(context.Background(), r, &content)
	if err == nil && req.EventType == "" {
		err = errors.New("no event type")
	}
	return content, err
}

// openV2 verifies or decrypts an APIv2 body, knowing only the official pages.
func openV2(apiKey string, body []byte) (map[string]string, error) {
	fields, err := parseV2(body, "xml")
	if err != nil {
		return nil, err
	}
	if sealed, ok := fields["req_info"]; ok {
		return openRefundV2(apiKey, sealed)
	}
	var names []string
	for name, v := range fields {
		if name != "sign" && v != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	text := ""
	for _, name := range names {
		text += name + "=" + fields[name] + "&"
	}
	var h hash.Hash
	switch len(fields["sign"]) {
	case 32:
		h = md5.New()
	case 64:
		h = hmac.New(sha256.New, []byte(apiKey))
	default:
		return nil, errors.New("no sign")
	}
	_, _ = io.WriteString(h, text+"key="+apiKey)
	if fmt.Sprintf("%X", h.Sum(nil)) != fields["sign"] {
		return nil, errors.New("wrong sign")
	}
	if strings.Trim(fields["total_fee"], "0123456789") != "" {
		return nil, errors.New("total_fee is no number")
	}
	return fields, nil
}

func openRefundV2(apiKey, sealed string) (map[string]string, error) {
	data, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(data)%aes.BlockSize != 0 {
		return nil, errors.New("no blocks")
	}
	sum := md5.Sum([]byte(apiKey))
	block, err := aes.NewCipher([]byte(hex.EncodeToString(sum[:])))
	if err != nil {
		return nil, err
	}
	for rest := data; len(rest) > 0; rest = rest[aes.BlockSize:] {
		block.Decrypt(rest, rest)
	}
	pad := int(data[len(data)-1])
	if pad < 1 || pad > aes.BlockSize || !bytes.HasSuffix(data, bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, errors.New("wrong padding")
	}
	return parseV2(data[:len(data)-pad], "root")
}

// openGCM decrypts a v3 resource.
func openGCM(key, nonce, associated, sealed string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher([]byte(key))
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return gcm.Open(nil, []byte(nonce), data, []byte(associated))
}

func parseV2(body []byte, root string) (map[string]string, error) {
	var doc struct {
		XMLName xml.Name
		Fields  []struct {
			XMLName xml.Name
			Value   string `xml:",chardata"`
		} `xml:",any"`
	}
	if err := xml.Unmarshal(body, &doc); err != nil || doc.XMLName.Local != root {
		return nil, errors.New("no document")
	}
	fields := map[string]string{}
	for _, f := range doc.Fields {
		fields[f.XMLName.Local] = f.Value
	}
	return fields, nil
}

// receiver is a merchant's endpoint that follows the protocol.
type receiver struct {
	merchant *wechat.Merchant
	sdk      *notify.Handler

	mu       sync.Mutex
	accepted map[string]int // successes by message
}

// newReceiver starts one; its account's NotifyURL leads there.
func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{accepted: map[string]int{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.merchant = merchantAt(t, server.URL+"/wechatpay/shop")
	r.sdk = sdk(t, r.merchant)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 2<<20))
	var id string
	var status int
	switch {
	case err != nil:
		status = http.StatusRequestEntityTooLarge
	case req.URL.Path != "/wechatpay/shop":
		status = http.StatusNotFound
	case bytes.HasPrefix(body, []byte("<")):
		id, status = r.v2(body)
	default:
		id, status = r.v3(wechat.Sending{Header: req.Header, Body: body})
	}
	if id != "" {
		r.mu.Lock()
		r.accepted[id]++
		r.mu.Unlock()
		if status == http.StatusOK {
			_, _ = io.WriteString(w, "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>")
			return
		}
	}
	w.WriteHeader(status)
}

func (r *receiver) v2(body []byte) (string, int) {
	fields, err := openV2(r.merchant.APIv2Key, body)
	if err != nil {
		return "", http.StatusUnauthorized
	}
	outer, _ := parseV2(body, "xml")
	if outer["mch_id"] != r.merchant.MchID {
		return "", http.StatusInternalServerError
	}
	return "v2/" + fields["transaction_id"] + fields["refund_id"], http.StatusOK
}

func (r *receiver) v3(s wechat.Sending) (string, int) {
	content, err := open(r.sdk, s)
	if err != nil {
		return "", http.StatusUnauthorized
	}
	for _, name := range []string{"mchid", "combine_mchid"} {
		if id, ok := content[name]; ok && id != r.merchant.MchID {
			return "", http.StatusInternalServerError
		}
	}
	var e struct{ ID string }
	_ = json.Unmarshal(s.Body, &e)
	return e.ID, http.StatusNoContent
}

// counts are the messages accepted and the further successes.
func (r *receiver) counts() (accepted, repeats int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.accepted {
		accepted++
		repeats += int64(n - 1)
	}
	return accepted, repeats
}
