package pager_test

import (
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/pager"
)

// night is when people are woken in these tests.
var night = time.Date(2026, 11, 23, 3, 12, 10, 0, time.FixedZone("UTC+8", 8*60*60))

func before(d time.Duration) time.Time { return night.Add(-d) }

func yuan(fen int64) callback.Money { return callback.Money{Minor: fen, Currency: "CNY"} }

// failed is a page about failed callbacks of the merchant "shop".
func failed(class callback.Class, reason callback.Reason, count int64) pager.Page {
	return pager.Page{
		Occasion: pager.Opened,
		Incident: callback.Incident{
			ID: 7, IncidentKey: callback.FailureIncident("shop", class, reason),
			Opened: before(130 * time.Second), Latest: before(5 * time.Second), Count: count,
		},
	}
}

// with adds what is at stake.
func with(p pager.Page, occasion pager.Occasion, facts callback.IncidentFacts) pager.Page {
	p.Occasion, p.IncidentFacts = occasion, facts
	if occasion != pager.Opened {
		p.Told = p.Opened
	}
	return p
}

// of is a page about any other rule.
func of(occasion pager.Occasion, key callback.IncidentKey, facts callback.IncidentFacts) pager.Page {
	return pager.Page{
		Occasion: occasion, IncidentFacts: facts,
		Incident: callback.Incident{ID: 8, IncidentKey: key, Opened: before(25 * time.Minute), Latest: before(time.Second), Count: 2, Lasting: true},
	}
}

const (
	traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	unrecorded  = "00-a3ce929d0e0e47364bf92f3577b34da6-00f067aa0ba902b7-00"
)

var threeOrders = callback.IncidentFacts{
	Amounts:     []callback.Money{yuan(386400), {Minor: 1200, Currency: "JPY"}},
	Orders:      []string{"T20261123_00001", "T20261123*00002", "shop-7|3"},
	Outstanding: 3, Next: night.Add(110 * time.Second), Left: 12, Traces: []string{unrecorded, traceparent},
}

// hostile is text as somebody would write who wants to be read as something else.
const hostile = "disk of [db](https://evil.example/x) is full\n# Call @13800000000 @all\n" +
	"<a href=\"https://evil.example\">click</a> ![x](https://evil.example/y.png) www.evil.example **now** `rm -rf` \u202egnp"

// samples is one message for every occasion and rule.
func samples() map[string]pager.Message {
	outstanding := callback.IncidentKey{Rule: callback.RuleOutstanding, Merchant: "shop"}
	digest := []pager.Page{failed(callback.Proven, callback.ReasonStoreUnavailable, 40)}
	for n, reason := range callback.Reasons() {
		if reason.Class() == callback.Proven && reason != callback.ReasonStoreUnavailable {
			digest = append(digest, with(failed(callback.Proven, reason, int64(n+1)), pager.Opened, threeOrders))
		}
	}
	all := map[string][]pager.Page{
		"opened":      {with(failed(callback.Proven, callback.ReasonDecryptFailed, 3), pager.Opened, threeOrders)},
		"opened-one":  {with(failed(callback.Proven, callback.ReasonOrderUnknown, 1), pager.Opened, callback.IncidentFacts{Amounts: []callback.Money{yuan(1288)}, Orders: []string{"T1"}, Outstanding: 1, Next: night.Add(15 * time.Second), Left: 15})},
		"opened-own":  {with(failed(callback.Proven, callback.ReasonStoreUnavailable, 240_000), pager.Opened, callback.IncidentFacts{Partial: true, Amounts: []callback.Money{yuan(9_031_220)}, Orders: []string{"T1", "T2", "T3", "T4", "T5"}, More: 9993, Outstanding: 231_044, Next: night.Add(3 * time.Second), Left: 14})},
		"opened-dark": {failed(callback.Proven, callback.ReasonStoreUnavailable, 12)}, // the database is away: nothing else is known
		"quarantined": {with(failed(callback.Proven, callback.ReasonAmountMismatch, 1), pager.Opened, callback.IncidentFacts{Amounts: []callback.Money{yuan(1)}, Orders: []string{"T2026112300099"}, Outstanding: 1, Next: night.Add(time.Hour), Left: 9})},
		"flood": {with(failed(callback.Unproven, callback.ReasonSignatureInvalid, 12034), pager.Again, callback.IncidentFacts{Sources: []callback.Source{
			{Network: "203.0.113.0/24", Count: 45}, {Network: "2001:db8:7::/48", Count: 12}, {Network: "198.51.100.0/24", Count: 3},
		}, Sampled: 60})},
		"history":               {of(pager.Opened, callback.IncidentKey{Rule: callback.RuleHistory, Class: "warning"}, callback.IncidentFacts{Known: true, Outstanding: 12})},
		"again":                 {with(failed(callback.Proven, callback.ReasonKeyUnknown, 57), pager.Again, callback.IncidentFacts{Amounts: []callback.Money{yuan(56_400)}, Orders: []string{"T1"}, Outstanding: 9, Next: night.Add(4 * time.Hour), Left: 0})},
		"over":                  {with(failed(callback.Proven, callback.ReasonKeyUnknown, 57), pager.Over, callback.IncidentFacts{Amounts: []callback.Money{yuan(56_400)}, Known: true})},
		"over-dark":             {with(failed(callback.Proven, callback.ReasonKeyUnknown, 57), pager.Over, callback.IncidentFacts{})}, // nobody knows
		"over-missing":          {with(failed(callback.Proven, callback.ReasonKeyUnknown, 57), pager.Over, callback.IncidentFacts{Amounts: []callback.Money{yuan(56_400)}, Orders: []string{"T1", "T2"}, Outstanding: 2, Next: night.Add(40 * time.Minute), Left: 8})},
		"over-unproven":         {with(failed(callback.Unproven, callback.ReasonSignatureInvalid, 12034), pager.Over, callback.IncidentFacts{})},
		"drill":                 {{Occasion: pager.Drill, Incident: callback.Incident{IncidentKey: callback.IncidentKey{Rule: "drill"}, Opened: night, Latest: night}}},
		"outstanding":           {of(pager.Opened, outstanding, callback.IncidentFacts{Outstanding: 2, Next: night.Add(9 * time.Hour), Left: 4})},
		"outstanding-none-left": {of(pager.Again, outstanding, callback.IncidentFacts{Outstanding: 2})},
		"outstanding-over":      {of(pager.Over, outstanding, callback.IncidentFacts{})},
		"order-conflict":        {of(pager.Opened, callback.IncidentKey{Rule: callback.RuleOrderConflict, Merchant: "shop"}, callback.IncidentFacts{Orders: []string{"T20261123_00001", "T20261123_00002"}})},
		"foreign":               {of(pager.Opened, callback.IncidentKey{Rule: "NodeDiskFull", Class: "warning", Subject: "db1.example.com:9100"}, callback.IncidentFacts{})},
		"digest":                digest,
	}
	all["foreign"][0].Detail = hostile
	messages := map[string]pager.Message{}
	for name, pages := range all {
		messages[name] = pager.Message{Pages: pages, Written: night}
	}
	return messages
}

// writer writes with every link there is.
func writer(l pager.Language) pager.Writer {
	return pager.Writer{Language: l, Environment: "prod", Links: pager.Links{
		Dashboard: "https://grafana.example.com/", Runbooks: "https://runbooks.example.com", Trace: "https://jaeger.example.com/trace/{trace_id}",
	}}
}
