package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"wxnotify/service/callback"
	"wxnotify/service/simulator/wechat"
)

// books is what the service says it did, beside what the simulator says it sent.
type books struct {
	report   wechat.Report
	service  tally
	expected tally
	checked  int // acknowledged messages looked up in the database
	lost     []string
	unpaid   []string
	orders   int
}

// tally counts arrivals by what became of them.
type tally struct {
	accepted, duplicates float64
	refused              map[callback.Reason]float64
}

func (t tally) total() float64 {
	sum := t.accepted + t.duplicates
	for _, n := range t.refused {
		sum += n
	}
	return sum
}

// judgements says how each fault must be judged. The simulator knows nothing of
// our reasons, so that it cannot agree with us by construction.
var judgements = map[wechat.Nature]callback.Reason{
	wechat.Nature(wechat.Forged):          callback.ReasonSignatureInvalid,
	wechat.Nature(wechat.Junk):            callback.ReasonUnsigned,
	wechat.Nature(wechat.Oversize):        callback.ReasonTooLarge,
	wechat.Nature(wechat.Probe):           callback.ReasonProbe,
	wechat.Nature(wechat.ProbeBadBase64):  callback.ReasonProbe,
	wechat.Nature(wechat.Stale):           callback.ReasonTimestampStale,
	wechat.Nature(wechat.UnknownSerial):   callback.ReasonKeyUnknown,
	wechat.Nature(wechat.SignatureType):   callback.ReasonSignatureType,
	wechat.Nature(wechat.HeaderStripped):  callback.ReasonHeadersMissing,
	wechat.Nature(wechat.Unsigned):        callback.ReasonUnsigned,
	wechat.Nature(wechat.Rewritten):       callback.ReasonSignatureInvalid,
	wechat.Nature(wechat.WrongPath):       callback.ReasonUnknownMerchant,
	wechat.Nature(wechat.Undecryptable):   callback.ReasonDecryptFailed,
	wechat.Nature(wechat.Malformed):       callback.ReasonMalformed,
	wechat.Nature(wechat.ForeignMerchant): callback.ReasonMerchantMismatch,
	wechat.Nature(wechat.WrongAmount):     callback.ReasonAmountMismatch,
}

// judge says how one sending must be judged; "" is accepted or duplicate.
func judge(n wechat.Nature, k wechat.Kind) callback.Reason {
	switch reason, spoiled := judgements[n]; {
	case (n == wechat.Nature(wechat.Forged) || n == wechat.Nature(wechat.Malformed)) && k == wechat.RefundV2:
		return callback.ReasonDecryptFailed // no signature: what does not open into XML cannot be proven
	case spoiled:
		return reason
	case k == wechat.Unclassifiable:
		return callback.ReasonUnclassified
	}
	return ""
}

// audit compares the ledger with /metrics, as an SRE sees them, and looks every
// acknowledged message up in the database.
func (s *stage) audit(ctx context.Context, ledger *wechat.Ledger, report wechat.Report) (*books, error) {
	b := &books{report: report, expected: tally{refused: map[callback.Reason]float64{}}}
	var err error
	if b.service, err = s.counted(ctx); err != nil {
		return nil, err
	}
	sound := 0.0
	for _, line := range report.Lines {
		if line.Failure == wechat.NotConnected {
			continue
		}
		if reason := judge(line.Nature, line.Kind); reason != "" {
			b.expected.refused[reason] += float64(line.Count)
		} else {
			sound += float64(line.Count)
		}
	}
	for _, entry := range ledger.Latest(int(report.Messages + report.Strangers)) {
		if isSound(entry) {
			b.expected.accepted++
		}
		if entry.State != wechat.Acknowledged {
			continue
		}
		b.checked++
		if err := s.lookUp(ctx, b, entry); err != nil {
			return nil, err
		}
	}
	b.expected.duplicates = sound - b.expected.accepted
	return b, nil
}

// isSound reports whether any sending of the message had to be accepted.
func isSound(e wechat.Entry) bool {
	for _, sent := range e.Sendings {
		if judge(sent.Nature, e.Kind) == "" && sent.Answer.Failure != wechat.NotConnected {
			return true
		}
	}
	return false
}

// lookUp checks that an acknowledged message is in the database, and that a
// paid order is paid in the merchant's eyes.
func (s *stage) lookUp(ctx context.Context, b *books, e wechat.Entry) error {
	key := e.ID
	if e.Kind.V2() {
		key = e.TransactionID // v2 has no notification id
	}
	found, err := s.store.Find(ctx, key)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		b.lost = append(b.lost, e.ID)
	}
	if !e.Kind.Paid() || !isSound(e) {
		return nil
	}
	b.orders++
	order, err := s.backends[e.Merchant].Lookup(ctx, e.OutTradeNo)
	if err == nil && order.State == string(callback.OrderExpected) {
		b.unpaid = append(b.unpaid, e.OutTradeNo)
	}
	return err
}

// counted reads the service's own counters.
func (s *stage) counted(ctx context.Context) (tally, error) {
	t := tally{refused: map[callback.Reason]float64{}}
	text, err := s.metrics(ctx)
	if err != nil {
		return t, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return t, fmt.Errorf("reading /metrics: %w", err)
	}
	for _, m := range families["wechatpay_callback_processed_total"].GetMetric() {
		n := m.GetCounter().GetValue()
		switch callback.Outcome(label(m, "outcome")) {
		case callback.Accepted:
			t.accepted += n
		case callback.Duplicate:
			t.duplicates += n
		default:
			t.refused[callback.Reason(label(m, "error_type"))] += n
		}
	}
	return t, nil
}

// metrics reads /metrics as anybody would.
func (s *stage) metrics(ctx context.Context) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.private+"/metrics", nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// agree reports whether both sides tell the same, and nothing is lost.
func (b *books) agree() bool {
	for _, reason := range callback.Reasons() {
		if b.service.refused[reason] != b.expected.refused[reason] {
			return false
		}
	}
	return b.service.accepted == b.expected.accepted && b.service.duplicates == b.expected.duplicates &&
		len(b.lost) == 0 && len(b.unpaid) == 0 && b.report.GivenUp == 0 && len(b.report.Unexpected()) == 0
}

func (b *books) print(w io.Writer) {
	row := func(name string, service, ledger float64, note string) {
		mark := "✓"
		if service != ledger {
			mark = "✗"
		}
		fmt.Fprintf(w, "%-27s %8.0f %8.0f  %s  %s\n", name, service, ledger, mark, note)
	}
	fmt.Fprintf(w, "%-27s %8s %8s\n", "", "service", "ledger")
	row("sent", b.service.total(), b.expected.total(),
		fmt.Sprintf("%d messages, %d copies at the same instant, %d strangers", b.report.Messages, b.report.Copies, b.report.Strangers))
	row("accepted once", b.service.accepted, b.expected.accepted, "")
	row("duplicates", b.service.duplicates, b.expected.duplicates, "acknowledged again, nothing booked twice")
	for _, reason := range callback.Reasons() {
		if b.service.refused[reason]+b.expected.refused[reason] == 0 {
			continue
		}
		what := fmt.Sprintf("%d  %s", reason.Status(reason.Class()), reason.English())
		name := "refused "
		if reason.Quarantined() {
			name = "kept apart "
		}
		row(name+string(reason), b.service.refused[reason], b.expected.refused[reason], what)
	}
	row("lost", float64(len(b.lost)), 0, fmt.Sprintf("%d acknowledged messages looked up in the database", b.checked))
	row("paid, and order still open", float64(len(b.unpaid)), 0, fmt.Sprintf("%d orders looked up by the merchants", b.orders))
	row("given up by WeChat Pay", float64(b.report.GivenUp), 0, "never acknowledged, and never sent again")
	for _, line := range b.report.Unexpected() {
		fmt.Fprintf(w, "✗ unexpected answer: %s %s ×%d: %s\n", line.Kind, line.Nature, line.Count, line.Outcome)
	}
	verdict := "Service and ledger agree: every message was accepted once, none was lost."
	if !b.agree() {
		verdict = "Service and ledger DISAGREE: see the rows marked ✗ " + strings.Join(append(b.lost, b.unpaid...), " ")
	}
	fmt.Fprintf(w, "\n%s\n", verdict)
}
