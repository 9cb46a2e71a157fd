//go:build stack

package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"wxnotify/service/simulator/wechat"
)

// oneStory follows one payment by its 商户订单号 through records and traces: it
// fails, is sent again, and comes once more.
func oneStory(t *testing.T, s *stack) {
	r := s.serve(t, "story", []string{"story"}, nil)
	w := r.world("story")
	order := wechat.NewOrder(1288)
	message := w.wechat.Message(wechat.Payment, order)
	for _, step := range []struct {
		fault  wechat.Fault
		answer int
	}{{wechat.Stale, http.StatusUnauthorized}, {wechat.None, http.StatusNoContent}, {wechat.None, http.StatusNoContent}} {
		if status, body := w.post(t, message.Sign(step.fault, time.Now())); status != step.answer {
			t.Fatalf("answered %d %s, want %d", status, body, step.answer)
		}
	}

	var records []record
	within(t, time.Minute, "three records in Loki", func() bool {
		records = s.records(t, `{service_name="wxnotify", deployment_environment_name="story"} | wechatpay_out_trade_no="`+order.OutTradeNo+`"`)
		return len(records) == 3
	})
	traceIDs := map[string]string{} // by what became of the arrival
	for _, record := range records {
		if record.labels["wechatpay_transaction_id"] != order.TransactionID || record.labels["wechatpay_merchant"] != "story" {
			t.Errorf("record %v", record.labels)
		}
		traceIDs[record.labels["wechatpay_status"]] = record.labels["trace_id"]
	}

	arrivals := map[string]span{} // the server spans, likewise
	within(t, time.Minute, "three traces in Jaeger", func() bool {
		clear(arrivals)
		for _, spans := range s.tracesWith(t, "wechatpay.out_trade_no", order.OutTradeNo) {
			for _, one := range spans {
				if one.OperationName == "POST /wechatpay/{merchant}" {
					arrivals[one.tag("wechatpay.status")] = one
				}
			}
		}
		return len(arrivals) == 3
	})
	for status, root := range arrivals {
		if root.TraceID != traceIDs[status] {
			t.Errorf("%s: the record names trace %s, Jaeger has %s", status, traceIDs[status], root.TraceID)
		}
		if root.parent() != "" {
			t.Errorf("%s: the server span has a parent", status)
		}
		s.spanTree(t, root)
	}
	if second := arrivals["accepted"]; second.tag("wechatpay.arrival") != "2" || !second.linked(arrivals["failed"]) {
		t.Errorf("the second arrival is not linked to the first: %+v", second)
	}
	if third := arrivals["duplicate"]; !third.linked(arrivals["failed"]) || !third.linked(arrivals["accepted"]) {
		t.Errorf("the third arrival is not linked to the first and the second: %+v", third)
	}
}

// spanTree checks one callback's trace: open and record below the server span,
// and behind a link the commit with its SQL.
func (s *stack) spanTree(t *testing.T, root span) {
	t.Helper()
	stages := map[string]span{}
	for _, one := range s.trace(t, root.TraceID) {
		if one.parent() == root.SpanID {
			stages[one.OperationName] = one
		}
	}
	if len(stages) != 2 || stages["open"].SpanID == "" || stages["record"].SpanID == "" {
		t.Errorf("below the server span: %v, want open and record", stages)
		return
	}
	for _, reference := range stages["record"].References {
		if reference.RefType != "FOLLOWS_FROM" {
			continue
		}
		var commit span
		within(t, time.Minute, "the commit's trace", func() bool {
			for _, one := range s.trace(t, reference.TraceID) {
				if one.SpanID == reference.SpanID {
					commit = one
				}
			}
			return commit.SpanID != ""
		})
		statements := 0
		for _, one := range s.trace(t, reference.TraceID) {
			if strings.HasPrefix(one.OperationName, "sql.") {
				statements++
			}
		}
		if commit.OperationName != "store.commit" || statements == 0 {
			t.Errorf("the record span links to %s with %d statements", commit.OperationName, statements)
		}
		return
	}
	t.Errorf("the record span of trace %s links to no commit", root.TraceID)
}
