package wechatpay

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"wxnotify/service/callback"
)

// VerifyKey is a key that WeChat Pay signs callbacks with: the public half, so
// nothing about it is secret.
type VerifyKey struct {
	id      string
	kind    callback.KeyKind
	key     *rsa.PublicKey
	expires time.Time
}

// ID is the key's name in Wechatpay-Serial: a certificate serial number in
// upper-case hex, or PUB_KEY_ID_….
func (k VerifyKey) ID() string { return k.id }

// Kind is KeyCertificate or KeyPublic.
func (k VerifyKey) Kind() callback.KeyKind { return k.kind }

// Expires is when the certificate ends; zero for a public key, which does not.
func (k VerifyKey) Expires() time.Time { return k.expires }

// String names the key.
func (k VerifyKey) String() string { return string(k.kind) + " " + k.id }

const (
	publicKeyPrefix = "PUB_KEY_ID_"
	maxPEM          = 64 << 10
	// The signature type is ...RSA2048; a larger key would still be WeChat's.
	minKeyBits, maxKeyBits = 2048, 4096
)

// ParseVerifyKey reads a platform certificate (平台证书) or a WeChat Pay public
// key (微信支付公钥) in PEM. A certificate's id is its serial number and may be
// left empty; a public key's id is the PUB_KEY_ID_… shown beside its download.
func ParseVerifyKey(id string, data []byte) (VerifyKey, error) {
	if len(data) > maxPEM {
		return VerifyKey{}, errors.New("key file: larger than any certificate or public key: is it the right file?")
	}
	block, rest := pem.Decode(data)
	if block == nil {
		return VerifyKey{}, errors.New("key file: no PEM block: expected -----BEGIN CERTIFICATE----- (platform certificate) or -----BEGIN PUBLIC KEY----- (WeChat Pay public key)")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return VerifyKey{}, errors.New("key file: something follows the first PEM block: put each key into a file of its own")
	}
	switch {
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return VerifyKey{}, errors.New("key file: this is a private key (apiclient_key.pem?): the merchant's own key signs requests and verifies nothing; give WeChat Pay's public key (pub_key.pem) or platform certificate")
	case block.Type == "CERTIFICATE":
		return parseCertificate(id, block.Bytes)
	case block.Type == "PUBLIC KEY", block.Type == "RSA PUBLIC KEY":
		return parsePublicKey(id, block)
	}
	return VerifyKey{}, errors.New("key file: the PEM block is neither a CERTIFICATE nor a PUBLIC KEY")
}

func parseCertificate(id string, der []byte) (VerifyKey, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return VerifyKey{}, errors.New("certificate: cannot be parsed: fetch the platform certificate again")
	}
	if isMerchantCertificate(cert) {
		return VerifyKey{}, errors.New("certificate: this is a merchant API certificate (商户API证书, apiclient_cert.pem): it proves you to WeChat Pay, not WeChat Pay to you; give the platform certificate (平台证书) or the WeChat Pay public key (微信支付公钥)")
	}
	key, err := rsaKey("certificate", cert.PublicKey)
	if err != nil {
		return VerifyKey{}, err
	}
	serial := fmt.Sprintf("%X", cert.SerialNumber.Bytes())
	if strings.HasPrefix(id, publicKeyPrefix) {
		return VerifyKey{}, fmt.Errorf("id: %s… names a public key, but the file is a certificate: leave the id empty or give its serial %s", publicKeyPrefix, serial)
	}
	if id != "" && serialIndex(strings.ToUpper(id)) != serialIndex(serial) {
		return VerifyKey{}, fmt.Errorf("id: does not match the certificate, whose serial is %s: leave the id empty or correct it", serial)
	}
	return VerifyKey{id: serial, kind: callback.KeyCertificate, key: key, expires: cert.NotAfter}, nil
}

func parsePublicKey(id string, block *pem.Block) (VerifyKey, error) {
	if !strings.HasPrefix(id, publicKeyPrefix) || len(id) == len(publicKeyPrefix) || !isID(id) {
		return VerifyKey{}, fmt.Errorf("id: a public key needs its id %s…, shown in the merchant platform beside its download", publicKeyPrefix)
	}
	var (
		parsed any
		err    error
	)
	if block.Type == "RSA PUBLIC KEY" {
		parsed, err = x509.ParsePKCS1PublicKey(block.Bytes)
	} else {
		parsed, err = x509.ParsePKIXPublicKey(block.Bytes)
	}
	if err != nil {
		return VerifyKey{}, errors.New("public key: cannot be parsed: download pub_key.pem again")
	}
	key, err := rsaKey("public key", parsed)
	if err != nil {
		return VerifyKey{}, err
	}
	return VerifyKey{id: id, kind: callback.KeyPublic, key: key}, nil
}

func rsaKey(field string, parsed any) (*rsa.PublicKey, error) {
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%s: not an RSA key: only WECHATPAY2-SHA256-RSA2048 is supported, not 国密 (SM2)", field)
	}
	if bits := key.N.BitLen(); bits < minKeyBits || bits > maxKeyBits {
		return nil, fmt.Errorf("%s: RSA key of %d bits: WeChat Pay's have 2048", field, bits)
	}
	return key, nil
}

// isMerchantCertificate recognises the certificate that WeChat Pay issues to a
// merchant: organisation 微信商户系统, and the merchant number as common name.
// Mixing it up with the platform certificate is the most common start-up error:
// https://github.com/wechatpay-apiv3/wechatpay-go/issues/63
func isMerchantCertificate(cert *x509.Certificate) bool {
	return slices.Contains(cert.Subject.Organization, "微信商户系统") || isDecimal(cert.Subject.CommonName)
}

// serialIndex is how a serial is looked up: implementations disagree whether
// its leading zeros are written (wechatpay-go pads to whole bytes, wechatpay-java
// prints the bare number).
func serialIndex(serial string) string { return strings.TrimLeft(serial, "0") }
