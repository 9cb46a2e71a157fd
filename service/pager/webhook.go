package pager

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"wxnotify/service/callback"
)

// Webhook posts messages as JSON to a program of the operator's own: an SMS
// gateway, a chat that is not built in.
type Webhook struct {
	// URL may hold a token: it is treated as a secret.
	URL string
	// Secret signs each message; empty: unsigned.
	Secret string
	Writer Writer
	Client *http.Client
}

// The headers of a signed message. The signature is the lower-case hex
// HMAC-SHA256 of the timestamp (Unix seconds), a dot, and the body.
const (
	HeaderTimestamp = "Wxnotify-Timestamp"
	HeaderSignature = "Wxnotify-Signature"
)

// webhookMessage is what is posted. Its copies, after a lost answer, have the
// same id.
type webhookMessage struct {
	ID          string        `json:"id"`
	Environment string        `json:"environment,omitempty"`
	Title       string        `json:"title"`
	Text        string        `json:"text"`
	Critical    bool          `json:"critical"`
	Written     time.Time     `json:"written"`
	Pages       []webhookPage `json:"pages"`
}

type webhookPage struct {
	Incident    string          `json:"incident"` // the same in every message about it
	Occasion    Occasion        `json:"occasion"`
	Rule        string          `json:"rule"`
	Merchant    string          `json:"merchant,omitempty"`
	Class       callback.Class  `json:"class,omitempty"`
	Reason      callback.Reason `json:"reason,omitempty"`
	Subject     string          `json:"subject,omitempty"`
	Count       int64           `json:"count"`
	Opened      time.Time       `json:"opened"`
	Latest      time.Time       `json:"latest"`
	Amounts     []webhookMoney  `json:"amounts,omitempty"`
	Orders      []string        `json:"orders,omitempty"`
	MoreOrders  int             `json:"more_orders,omitempty"`
	Outstanding int64           `json:"outstanding"`
	Next        time.Time       `json:"next,omitzero"`
	Left        int             `json:"left,omitempty"`
}

type webhookMoney struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"`
}

// Send posts the message. A 2xx means that it was taken.
func (h Webhook) Send(ctx context.Context, m Message) error {
	t := h.Writer.text(m)
	message := webhookMessage{
		ID: m.fingerprint(), Environment: h.Writer.Environment,
		Title: t.Title, Text: t.plain(), Critical: m.alarming(), Written: m.Written,
	}
	for _, p := range m.Pages {
		message.Pages = append(message.Pages, posting(p))
	}
	payload, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	header := http.Header{}
	if h.Secret != "" {
		stamp := strconv.FormatInt(time.Now().Unix(), 10)
		mac := hmac.New(sha256.New, []byte(h.Secret))
		mac.Write([]byte(stamp + "."))
		mac.Write(payload)
		header.Set(HeaderTimestamp, stamp)
		header.Set(HeaderSignature, hex.EncodeToString(mac.Sum(nil)))
	}
	if _, err := postJSON(ctx, h.Client, h.URL, payload, header); err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	return nil
}

func posting(p Page) webhookPage {
	w := webhookPage{
		Incident: p.thread(), Occasion: p.Occasion,
		Rule: p.Rule, Merchant: p.Merchant, Class: p.Class, Reason: p.Reason, Subject: p.Subject,
		Count: p.Count, Opened: p.Opened, Latest: p.Latest, Orders: p.Orders, MoreOrders: p.More,
		Outstanding: p.Outstanding, Next: p.Next, Left: p.Left,
	}
	for _, a := range p.Amounts {
		w.Amounts = append(w.Amounts, webhookMoney{a.Minor, a.Currency})
	}
	return w
}
