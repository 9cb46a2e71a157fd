package wechat

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // the APIv2 protocol prescribes it
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
)

// signV3 signs timestamp, nonce and the exact body, each followed by a line
// feed, with RSASSA-PKCS1-v1_5 over SHA-256.
//
// Source: https://pay.weixin.qq.com/doc/v3/merchant/4013053249
func signV3(key *rsa.PrivateKey, timestamp, nonce string, body []byte) string {
	h := sha256.New()
	h.Write([]byte(timestamp + "\n" + nonce + "\n"))
	h.Write(body)
	h.Write([]byte("\n"))
	sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, h.Sum(nil))
	if err != nil {
		panic(err) // a key of our own making that cannot sign
	}
	return base64.StdEncoding.EncodeToString(sig)
}

// sealV3 encrypts a resource with AEAD_AES_256_GCM: the key's and the nonce's
// characters are taken as bytes, the tag ends the ciphertext.
//
// Source: https://pay.weixin.qq.com/doc/v3/merchant/4012071382
func sealV3(apiV3Key, nonce, associated string, plain []byte) string {
	block, err := aes.NewCipher([]byte(apiV3Key))
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(gcm.Seal(nil, []byte(nonce), plain, []byte(associated)))
}

// param is one XML child of an APIv2 message.
type param struct{ name, value string }

// signV2 signs all non-empty parameters but sign itself, in ASCII order of
// their names, with the API key appended.
//
// Source: https://pay.weixin.qq.com/wiki/doc/api/app/app.php?chapter=4_3
func signV2(apiKey string, hmacSHA256 bool, params []param) string {
	sorted := slices.Clone(params)
	slices.SortFunc(sorted, func(a, b param) int { return strings.Compare(a.name, b.name) })
	var text strings.Builder
	for _, p := range sorted {
		if p.value != "" && p.name != "sign" {
			text.WriteString(p.name + "=" + p.value + "&")
		}
	}
	text.WriteString("key=" + apiKey)
	if hmacSHA256 {
		mac := hmac.New(sha256.New, []byte(apiKey))
		mac.Write([]byte(text.String()))
		return strings.ToUpper(hex.EncodeToString(mac.Sum(nil)))
	}
	sum := md5.Sum([]byte(text.String())) //nolint:gosec // the APIv2 protocol prescribes it
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// sealV2 encrypts a refund's req_info: AES-256-ECB with PKCS#7 padding, the key
// being the 32 hex characters of the API key's MD5.
//
// Source: https://pay.weixin.qq.com/doc/v2/partner/4011989265
func sealV2(apiKey string, plain []byte) string {
	sum := md5.Sum([]byte(apiKey)) //nolint:gosec // the APIv2 protocol prescribes it
	return encryptECB([]byte(hex.EncodeToString(sum[:])), plain)
}

func encryptECB(key, plain []byte) string {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	out := append(slices.Clone(plain), slices.Repeat([]byte{byte(pad)}, pad)...)
	for at := 0; at < len(out); at += aes.BlockSize {
		block.Encrypt(out[at:], out[at:])
	}
	return base64.StdEncoding.EncodeToString(out)
}

const (
	digits   = "0123456789"
	alphanum = digits + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// random is n characters drawn from alphabet.
func random(n int, alphabet string) string {
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		panic(err) // never happens: crypto/rand ends the program itself
	}
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}
