package main

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"wxnotify/service/simulator/wechat"
	"wxnotify/service/telemetry"
	"wxnotify/service/web"
)

// pairs is how often reference and wxnotify are measured in turn. The machine
// is shared and noisy: a ratio within a pair holds, an absolute time does not.
const pairs = 3

// BenchmarkBesideReference measures wxnotify beside what a competent team
// writes by hand (see [newReference]): distinct, presigned v3 payments from
// senders on the same cores, a fresh database each time, both with a log file
// and without an OTLP exporter. wxnotify does more in that time: audit row,
// notification, order, metrics, spans.
func BenchmarkBesideReference(b *testing.B) {
	for _, c := range []struct{ senders, messages int }{{1, 1500}, {64, 6000}} {
		b.Run(fmt.Sprintf("senders=%d", c.senders), func(b *testing.B) {
			for b.Loop() {
				var reference, ours, ratios []float64
				var referenceP99, oursP99 []time.Duration
				for range pairs {
					r := drive(b, referenceDoor(b), c.senders, c.messages)
					o := drive(b, ourDoor(b), c.senders, c.messages)
					reference, ours = append(reference, r.Rate), append(ours, o.Rate)
					ratios = append(ratios, o.Rate/r.Rate)
					referenceP99, oursP99 = append(referenceP99, r.P99), append(oursP99, o.P99)
				}
				b.ReportMetric(median(reference), "reference/s")
				b.ReportMetric(median(ours), "wxnotify/s")
				b.ReportMetric(slices.Min(ratios), "ratio-min")
				b.ReportMetric(median(ratios), "ratio-median")
				b.ReportMetric(slices.Max(ratios), "ratio-max")
				b.ReportMetric(median(referenceP99).Seconds()*1e3, "reference-p99-ms")
				b.ReportMetric(median(oursP99).Seconds()*1e3, "wxnotify-p99-ms")
			}
			b.ReportMetric(0, "ns/op") // one operation is a whole measurement
		})
	}
}

func median[T float64 | time.Duration](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}

// measured is one program that answers at an account's notify_url.
type measured struct {
	account *wechat.Merchant
	close   func()
}

func ourDoor(b *testing.B) measured {
	account := benchAccount()
	cfg := configFor(b, account)
	log, err := os.Create(filepath.Join(filepath.Dir(cfg.Store.Path), "records.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	s, err := start(b.Context(), cfg, telemetry.Options{Stderr: log})
	if err != nil {
		b.Fatal(err)
	}
	account.NotifyURL = notifyURL("http://"+s.public.Addr().String(), account.Name)
	return measured{account, func() {
		if err := s.stop(); err != nil {
			b.Error(err)
		}
		_ = log.Close()
	}}
}

func referenceDoor(b *testing.B) measured {
	account := benchAccount()
	dir := b.TempDir()
	files, err := account.WriteKeys(dir)
	if err != nil {
		b.Fatal(err)
	}
	text, err := os.ReadFile(files.PublicKey)
	if err != nil {
		b.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		b.Fatal(err)
	}
	s, err := web.Listen(b.Context(), "127.0.0.1:0", newReference(b, dir, account.APIv3Key, account.PublicKeyID, key.(*rsa.PublicKey)))
	if err != nil {
		b.Fatal(err)
	}
	account.NotifyURL = notifyURL("http://"+s.Addr().String(), account.Name)
	return measured{account, func() {
		if err := s.Close(b.Context()); err != nil {
			b.Error(err)
		}
	}}
}

// benchAccount signs with the public key alone: the reference knows one key.
func benchAccount() *wechat.Merchant {
	account := *shop()
	account.PublicKeyShare = 1
	return &account
}

func drive(b *testing.B, m measured, senders, messages int) wechat.LoadReport {
	b.Helper()
	defer m.close()
	report, err := wechat.Load(b.Context(), wechat.LoadOptions{Merchant: m.account, Senders: senders, Count: messages, Presigned: true})
	if err != nil {
		b.Fatal(err)
	}
	for outcome, n := range report.Outcomes {
		if outcome.Status != http.StatusNoContent {
			b.Fatalf("%d sendings ended as %s; the measurement is void", n, outcome)
		}
	}
	return report
}
