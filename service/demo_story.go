package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"wxnotify/service/simulator/wechat"
)

// tellStory sends one payment as WeChat Pay might, first with a deliberate bad
// signature and then soundly, and shows all that can be seen of it.
func (s *stage) tellStory(ctx context.Context, w io.Writer) error {
	account := s.accounts[0]
	order := wechat.NewOrder(1288)
	if err := s.announce(ctx, account, order); err != nil {
		return err
	}
	message := account.Message(wechat.Payment, order)
	fmt.Fprintf(w, "\nOne payment's story: 商户订单号 %s, CNY 12.88\n\n", order.OutTradeNo)
	for _, act := range []struct {
		fault wechat.Fault
		says  string
	}{
		{wechat.Probe, "WeChat Pay probes with a wrong signature (签名探测)"},
		{wechat.None, "it sends the notification again, soundly signed"},
	} {
		answer, err := send(ctx, message.Sign(act.fault, time.Now()))
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  %s\n    → %s\n", act.says, answer)
	}
	found, err := s.store.Find(ctx, message.ID)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return errors.New("the story's callback is not in the database")
	}
	arrival := found[0] // the newest: the sound one
	carried := propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": arrival.Envelope.Trace})
	id := trace.SpanContextFromContext(carried).TraceID()
	fmt.Fprintf(w, "\nIts trace %s:\n\n", id)
	s.traces.print(w, id)
	record, err := s.record(ctx, id.String())
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nIts record (one line of JSON on stderr; also sent to an OpenTelemetry collector):\n\n%s\n", record)
	fmt.Fprintf(w, "\nIts counters, at %s/metrics:\n\n", s.private)
	return s.printCounters(ctx, w, account.Name)
}

// send posts one sending and returns the answer in a line.
func send(ctx context.Context, sending wechat.Sending) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, sending.URL, bytes.NewReader(sending.Body))
	if err != nil {
		return "", err
	}
	r.Header = sending.Header
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return strings.TrimSpace(answer.Status + " " + string(body)), err
}

// record waits for the record of a trace and indents it. Records are written
// behind the answer's back, so it may take a moment.
func (s *stage) record(ctx context.Context, traceID string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		content, err := os.ReadFile(s.records.Name())
		if err != nil {
			return "", err
		}
		for line := range bytes.Lines(content) {
			if !bytes.Contains(line, []byte(traceID)) {
				continue
			}
			var pretty bytes.Buffer
			err := json.Indent(&pretty, bytes.TrimSpace(line), "  ", "  ")
			return "  " + shorten(pretty.String()), err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return "", errors.New("the story's record was not written")
		}
	}
}

// shorten cuts long lines for the eye; the record itself is whole.
func shorten(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if r := []rune(line); len(r) > 110 {
			lines[i] = string(r[:100]) + " …\","
		}
	}
	return strings.Join(lines, "\n")
}

// printCounters shows the merchant's own lines of /metrics that are not zero.
func (s *stage) printCounters(ctx context.Context, w io.Writer, merchant string) error {
	text, err := s.metrics(ctx)
	if err != nil {
		return err
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "wechatpay_callback_processed_total{") &&
			strings.Contains(line, `merchant="`+merchant+`"`) && !strings.HasSuffix(line, " 0\n") {
			fmt.Fprint(w, "  ", line)
		}
	}
	return nil
}
