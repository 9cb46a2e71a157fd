package wechat

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Files are the paths of what a merchant downloads from WeChat Pay or sets
// there: everything a service needs to receive the account's messages.
type Files struct {
	Certificate string // platform certificate, PEM
	PublicKey   string // WeChat Pay public key, PEM; its id is [Merchant.PublicKeyID]
	APIv3Key    string // the 32 characters, no line end
	APIv2Key    string // the 32 characters, no line end
}

// savedName holds the account as the simulator needs it, private keys included.
const savedName = "simulator.json"

// saved is the file form of a Merchant.
type saved struct {
	Account                          Merchant
	Certificate, PublicKey, Stranger []byte // PKCS #1
	CertificatePEM                   string
}

// WriteKeys writes the account's keys into dir, readable by the owner only, and
// beside them what [ReadMerchant] needs to play this account again.
func (m *Merchant) WriteKeys(dir string) (Files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Files{}, fmt.Errorf("write keys: %w", err)
	}
	spki, err := x509.MarshalPKIXPublicKey(m.publicKey.Public())
	if err != nil {
		return Files{}, fmt.Errorf("write keys: %w", err)
	}
	account, err := json.MarshalIndent(saved{
		Account:        *m,
		Certificate:    x509.MarshalPKCS1PrivateKey(m.certificate),
		PublicKey:      x509.MarshalPKCS1PrivateKey(m.publicKey),
		Stranger:       x509.MarshalPKCS1PrivateKey(m.stranger),
		CertificatePEM: string(m.certPEM),
	}, "", "\t")
	if err != nil {
		return Files{}, fmt.Errorf("write keys: %w", err)
	}
	f := Files{
		Certificate: filepath.Join(dir, "wechatpay_cert.pem"),
		PublicKey:   filepath.Join(dir, "pub_key.pem"),
		APIv3Key:    filepath.Join(dir, "apiv3.key"),
		APIv2Key:    filepath.Join(dir, "apiv2.key"),
	}
	for path, data := range map[string][]byte{
		f.Certificate:                 m.certPEM,
		f.PublicKey:                   pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}),
		f.APIv3Key:                    []byte(m.APIv3Key),
		f.APIv2Key:                    []byte(m.APIv2Key),
		filepath.Join(dir, savedName): account,
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return Files{}, fmt.Errorf("write keys: %w", err)
		}
	}
	return f, nil
}

// ReadMerchant reads back an account that WriteKeys wrote into dir.
func ReadMerchant(dir string) (*Merchant, error) {
	data, err := os.ReadFile(filepath.Join(dir, savedName))
	if err != nil {
		return nil, fmt.Errorf("read a simulated merchant: %w", err)
	}
	var s saved
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, errors.New("read a simulated merchant: not a file that WriteKeys wrote")
	}
	m := s.Account
	m.certPEM = []byte(s.CertificatePEM)
	for _, k := range []struct {
		der []byte
		to  **rsa.PrivateKey
	}{{s.Certificate, &m.certificate}, {s.PublicKey, &m.publicKey}, {s.Stranger, &m.stranger}} {
		if *k.to, err = x509.ParsePKCS1PrivateKey(k.der); err != nil {
			return nil, errors.New("read a simulated merchant: a private key is broken")
		}
	}
	return &m, nil
}
