package wechat

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	mrand "math/rand/v2"
	"strings"
	"time"
)

// Merchant is a merchant account (商户) at the simulated WeChat Pay, with both
// sides of its keys: the private halves stay here, the public ones and the
// shared secrets are what the merchant configures.
type Merchant struct {
	Name      string // as in the service's configuration
	NotifyURL string // where its messages go; set it before sending
	MchID     string // 商户号
	AppID     string
	APIv3Key  string // 32 characters
	APIv2Key  string // 32 characters
	// CertificateSerial and PublicKeyID are the two values of Wechatpay-Serial.
	CertificateSerial string
	PublicKeyID       string
	// PublicKeyShare is the share of v3 messages, 0 to 1, that is signed with
	// the public key (微信支付公钥) instead of the platform certificate
	// (平台证书). During the change-over it rises from 0 to 1, and each message
	// is one or the other at random.
	//
	// Source: https://pay.weixin.qq.com/doc/v3/merchant/4012154180
	PublicKeyShare float64

	certificate *rsa.PrivateKey
	publicKey   *rsa.PrivateKey
	stranger    *rsa.PrivateKey // whose signatures nobody should accept
	certPEM     []byte
}

// NewMerchant makes an account with fresh keys; half of its messages are signed
// with either key. It takes some tenths of a second.
func NewMerchant(name string) (*Merchant, error) {
	m := &Merchant{
		Name: name, MchID: "19" + random(8, digits), AppID: "wx" + random(16, "0123456789abcdef"),
		APIv3Key: random(32, alphanum), APIv2Key: random(32, alphanum),
		PublicKeyID:    "PUB_KEY_ID_01" + random(32, digits),
		PublicKeyShare: 0.5,
	}
	for _, key := range []**rsa.PrivateKey{&m.certificate, &m.publicKey, &m.stranger} {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, fmt.Errorf("make a key: %w", err)
		}
		*key = k
	}
	return m, m.certify()
}

// certify makes the platform certificate. Its serial is 40 hex digits and its
// life five years, like the real ones.
func (m *Merchant) certify() error {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 156))
	if err != nil {
		return fmt.Errorf("make a serial: %w", err)
	}
	serial.SetBit(serial, 158, 1) // always 40 digits, never negative
	name := pkix.Name{CommonName: "Tenpay.com sign", Organization: []string{"Simulated Tenpay.com"}, Country: []string{"CN"}}
	now := time.Now()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: name, Issuer: name,
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(5, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}, &x509.Certificate{SerialNumber: serial, Subject: name}, m.certificate.Public(), m.certificate)
	if err != nil {
		return fmt.Errorf("make the platform certificate: %w", err)
	}
	m.CertificateSerial = strings.ToUpper(fmt.Sprintf("%040x", serial))
	m.certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return nil
}

// key picks the signing key of one message and its name in Wechatpay-Serial.
func (m *Merchant) key() (*rsa.PrivateKey, string) {
	if mrand.Float64() < m.PublicKeyShare {
		return m.publicKey, m.PublicKeyID
	}
	return m.certificate, m.CertificateSerial
}
