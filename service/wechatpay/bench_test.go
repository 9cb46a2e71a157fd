package wechatpay_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"testing"

	"wxnotify/service/wechatpay"
)

// BenchmarkJSON parses an envelope and a resource, beside what only asking
// encoding/json whether they are JSON costs.
func BenchmarkJSON(b *testing.B) {
	for _, is := range []struct {
		name string
		json func([]byte) bool
	}{{"parse", wechatpay.IsObject}, {"encoding/json.Valid", json.Valid}} {
		for name, raw := range map[string][]byte{"envelope": []byte(messages(b)["payment"].Body), "resource": []byte(paid)} {
			b.Run(name+"/"+is.name, func(b *testing.B) {
				b.SetBytes(int64(len(raw)))
				b.ReportAllocs()
				for b.Loop() {
					if !is.json(raw) {
						b.Fatal("not JSON")
					}
				}
			})
		}
	}
}

// BenchmarkOpen beside the bare RSA verification shows what everything else
// costs: lookup, JSON, AES-GCM, reading.
func BenchmarkOpen(b *testing.B) {
	m := messages(b)["payment_public_key"]
	block, _ := pem.Decode(readFile(b, "pub_key.pem"))
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		b.Fatal(err)
	}
	sum := sha256.Sum256([]byte(m.Headers.Timestamp + "\n" + m.Headers.Nonce + "\n" + m.Body + "\n"))
	signature, err := base64.StdEncoding.DecodeString(m.Headers.Value)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("rsa", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := rsa.VerifyPKCS1v15(parsed.(*rsa.PublicKey), crypto.SHA256, sum[:], signature); err != nil {
				b.Fatal(err)
			}
		}
	})
	o, env := newOpener(b, shop(b)), m.envelope()
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := o.Open(context.Background(), env); err != nil {
				b.Fatal(err)
			}
		}
	})
	v2 := messages(b)["v2_hmac"].envelope()
	b.Run("v2", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := o.Open(context.Background(), v2); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			o.Seal(env)
		}
	})
	b.Run("seal v2", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			o.Seal(v2)
		}
	})
	junk := env
	junk.Signature.Serial = "1"
	junk.Body = body(b, "TRANSACTION.SUCCESS", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", paid)
	b.Run("junk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := o.Open(context.Background(), junk); err == nil {
				b.Fatal("accepted")
			}
		}
	})
}
