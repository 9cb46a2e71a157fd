package callback_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"wxnotify/service/callback"
)

// TestRegistry is promise P7 at its root: every reason is complete and its
// answer obeys the protocol.
func TestRegistry(t *testing.T) {
	t.Parallel()
	if n := len(callback.Reasons()); n != 21 {
		t.Errorf("%d reasons; the list is closed at 21", n)
	}
	for _, r := range callback.Reasons() {
		t.Run(string(r), func(t *testing.T) {
			t.Parallel()
			if !r.Known() || r.English() == "" || r.Chinese() == "" || len(r.Classes()) == 0 || r.Classes()[0] != r.Class() {
				t.Errorf("incomplete: %q %q %v", r.English(), r.Chinese(), r.Classes())
			}
			if len(r.Message()) > 64 {
				t.Errorf("message is %d characters, WeChat Pay reads 64", len(r.Message()))
			}
			for _, c := range r.Classes() {
				if s := r.Status(c); s != 204 && (s < 400 || s > 599) {
					t.Errorf("class %s answers %d", c, s)
				}
			}
			if (r.Message() == "") != r.Quarantined() {
				t.Errorf("message %q, quarantined %v: only a failure answer has a message", r.Message(), r.Quarantined())
			}
		})
	}
}

func TestUnknownReasonIsOurFault(t *testing.T) {
	t.Parallel()
	r := callback.Reason("made up")
	if r.Known() || r.Status(callback.Noise) != 500 || r.Class() != callback.Proven || r.Message() == "" {
		t.Errorf("known %v, status %d, class %s, message %q", r.Known(), r.Status(callback.Noise), r.Class(), r.Message())
	}
}

func TestRefusalIsNeverASuccess(t *testing.T) {
	t.Parallel()
	for _, r := range callback.Reasons() {
		for _, c := range []callback.Class{callback.Proven, callback.Unproven, callback.Probe, callback.Noise} {
			if s := callback.Refuse(r, "").InClass(c).Status(); s < 400 {
				t.Errorf("refusal %s of class %s answers %d", r, c, s)
			}
		}
	}
}

func TestAsRefusal(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk")
	inner := callback.Refuse(callback.ReasonStoreUnavailable, "no commit").Because(cause)
	if got := callback.AsRefusal(fmt.Errorf("while recording: %w", inner)); got != inner {
		t.Errorf("lost the refusal in wrapping: %v", got)
	}
	if !errors.Is(inner, cause) {
		t.Error("lost the cause")
	}
	if got := callback.AsRefusal(cause); got.Reason != callback.ReasonInternal || got.Class != callback.Proven {
		t.Errorf("a plain error became %v", got)
	}
	if callback.AsRefusal(nil) != nil {
		t.Error("no error became a refusal")
	}
}

func TestEnvelopeAPI(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		env  callback.Envelope
		want callback.API
	}{
		"xml":                {callback.Envelope{Body: []byte(" \r\n\t<xml>")}, callback.V2},
		"json":               {callback.Envelope{Body: []byte(`{"id":"1"}`)}, callback.V3},
		"xml with signature": {callback.Envelope{Body: []byte("<xml>"), Signature: callback.Signature{Value: "x"}}, callback.V3},
		"unread xml":         {callback.Envelope{ContentType: "Text/XML"}, callback.V2},
		"unread json":        {callback.Envelope{ContentType: "application/json"}, callback.V3},
		"nothing":            {callback.Envelope{}, callback.V3},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.env.API(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestNextArrival(t *testing.T) {
	t.Parallel()
	first := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	cases := []struct {
		after, next time.Duration
		left        int
	}{
		{0, 15 * time.Second, 15},
		{15 * time.Second, 30 * time.Second, 14},
		{5 * time.Minute, 14 * time.Minute, 11},
		{20 * time.Hour, 24*time.Hour + 4*time.Minute, 1},
		{24*time.Hour + 4*time.Minute, 0, 0},
	}
	for _, c := range cases {
		t.Run(c.after.String(), func(t *testing.T) {
			t.Parallel()
			next, left := callback.NextArrival(first, first.Add(c.after))
			if left != c.left || (c.left > 0 && !next.Equal(first.Add(c.next))) || (c.left == 0 && !next.IsZero()) {
				t.Errorf("next %v (%v after the first), %d left; want %v, %d", next, next.Sub(first), left, c.next, c.left)
			}
		})
	}
}

func TestEventIsAFunctionOfMerchantAndKey(t *testing.T) {
	t.Parallel()
	a := callback.Notification{Merchant: "shop", Key: "payment/4200", ID: "1"}
	b := callback.Notification{Merchant: "shop", Key: "payment/4200", ID: "2"}
	if a.Event() != b.Event() {
		t.Error("two notifications of one payment are two events")
	}
	seen := []string{a.Event()}
	for _, n := range []callback.Notification{{Merchant: "shop2", Key: "payment/4200"}, {Merchant: "shop", Key: "payment/4201"}} {
		if slices.Contains(seen, n.Event()) {
			t.Errorf("%+v shares its event id with another", n)
		}
		seen = append(seen, n.Event())
	}
}

// Facts are compared with those that an earlier version stored.
func TestFactsStay(t *testing.T) {
	t.Parallel()
	n := callback.Notification{
		Kind: callback.Refund, Key: "refund/5/SUCCESS", OutTradeNo: "A1", TransactionID: "4200", RefundID: "5", State: "SUCCESS",
		Amount: callback.Money{Minor: 1234, Currency: "JPY"}, Refunded: callback.Money{Minor: 5, Currency: "CNY"},
	}
	if got, want := strings.Split(n.Facts(), "\x1f"), "[refund refund/5/SUCCESS A1 4200 5 SUCCESS JPY 12.34 CNY 0.05]"; fmt.Sprint(got) != want {
		t.Errorf("facts %v, want %s", got, want)
	}
}

func TestSuccess(t *testing.T) {
	t.Parallel()
	for api, want := range map[callback.API]int{callback.V2: 200, callback.V3: 204} {
		if got := api.Success(); got != want {
			t.Errorf("%s: %d, want %d", api, got, want)
		}
	}
}

func TestMoneyString(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]callback.Money{
		"CNY 12.34": {Minor: 1234, Currency: "CNY"}, "CNY 0.05": {Minor: 5, Currency: "CNY"},
		"CNY -1.00": {Minor: -100, Currency: "CNY"}, "CNY -0.05": {Minor: -5, Currency: "CNY"}, "-": {},
		"JPY 1234": {Minor: 1234, Currency: "JPY"}, "KRW 0": {Currency: "KRW"}, "VND -5": {Minor: -5, Currency: "VND"},
		"KWD 1.234": {Minor: 1234, Currency: "KWD"}, "USD 12.34": {Minor: 1234, Currency: "USD"},
		"CNY -92233720368547758.08": {Minor: math.MinInt64, Currency: "CNY"},
	} {
		if got := m.String(); got != want {
			t.Errorf("%+v is %q, want %q", m, got, want)
		}
	}
}
