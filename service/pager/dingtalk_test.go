package pager_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/pager"
	"wxnotify/service/simulator/dingtalk"
)

// TestDingTalkSignature: of the documented way, worked out by somebody else.
//
//	printf '1795373530000\nSECrobot-secret-9a1e' | openssl dgst -sha256 -hmac SECrobot-secret-9a1e -binary | base64
func TestDingTalkSignature(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.UnixMilli(1795373530000)))
		var asked url.Values
		channel := pager.DingTalk{
			URL: "https://robot.example/robot/send?access_token=" + robotToken, Secret: robotSecret,
			Client: &http.Client{Transport: inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r.URL.Query()
				_, _ = w.Write([]byte(`{"errcode":0,"errmsg":"ok"}`))
			})}},
		}
		if err := channel.Send(t.Context(), samples()["opened"]); err != nil {
			t.Fatal(err)
		}
		want := url.Values{
			"access_token": {robotToken}, "timestamp": {"1795373530000"}, "sign": {"qpIeHMewA4cbGUeEZSg+3RbOrNoOpc0awjQN1zOabM4="},
		}
		if asked.Encode() != want.Encode() {
			t.Errorf("asked %v, want %v", asked, want)
		}
	})
}

// TestDingTalkSignsEachAttempt: a signature of the process's start is worth
// nothing an hour later.
func TestDingTalkSignsEachAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		robot, channel := near(pager.English)
		for range 3 {
			if err := channel.Send(t.Context(), samples()["opened"]); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Hour)
		}
		if taken := robot.Report().Taken; taken != 3 {
			t.Errorf("%d taken, want 3", taken)
		}
	})
}

func TestDingTalkKeyword(t *testing.T) {
	t.Parallel()
	for _, keyword := range []string{"wxnotify", "支付告警", "pay_alert*"} {
		robot := dingtalk.New(dingtalk.Options{Token: robotToken, Keywords: []string{keyword}})
		channel := pager.DingTalk{
			URL: "https://robot.example/robot/send?access_token=" + robotToken, Keyword: keyword,
			Client: &http.Client{Transport: inProcess{robot.Handler()}},
		}
		for name, m := range samples() {
			if err := channel.Send(t.Context(), m); err != nil {
				t.Errorf("%s with keyword %s: %v", name, keyword, err)
				break
			}
			if robot.Report().Taken == dingtalk.PerMinute {
				break
			}
		}
	}
}

// TestDingTalkVerdicts: only errcode 0 is success, whatever the HTTP status.
func TestDingTalkVerdicts(t *testing.T) {
	t.Parallel()
	mutes := map[int]bool{dingtalk.CodeTooFast: true, dingtalk.CodeTooFastNow: true, dingtalk.CodeQuota: true}
	for _, code := range append(dingtalk.Codes(), 88, 900_000) {
		robot, channel := near(pager.English)
		robot.Misbehave(dingtalk.Trouble{Fault: dingtalk.ErrorCode, Code: code})
		err := channel.Send(t.Context(), samples()["opened"])
		if err == nil || !strings.Contains(err.Error(), fmt.Sprint("errcode ", code)) {
			t.Errorf("errcode %d: %v", code, err)
		}
		var muted *pager.Muted
		if errors.As(err, &muted) != mutes[code] {
			t.Errorf("errcode %d: mutes %v", code, !mutes[code])
		}
		if mutes[code] && muted.For < 10*time.Minute {
			t.Errorf("errcode %d mutes for %s", code, muted.For)
		}
	}
}

// TestDingTalkFaults: whatever the robot does, a message counts as taken only if
// it says so, and the attempt ends in time.
func TestDingTalkFaults(t *testing.T) {
	t.Parallel()
	for _, fault := range dingtalk.Faults() {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/tls=%v", fault, secure), func(t *testing.T) {
				t.Parallel()
				robot, server := robotOn(t, dingtalk.Options{Secret: robotSecret}, secure)
				robot.Misbehave(dingtalk.Trouble{Fault: fault, Wait: time.Millisecond})
				channel := pager.DingTalk{URL: server.URL, Secret: robotSecret, Client: trusting(server.CA)}
				err := channel.Send(soon(t, 300*time.Millisecond), samples()["opened"])
				report := robot.Report()
				if (err == nil) != (fault == dingtalk.Slow) {
					t.Errorf("error %v", err)
				}
				if wantTaken := fault == dingtalk.Slow || fault == dingtalk.Lost; (report.Taken == 1) != wantTaken {
					t.Errorf("%d taken", report.Taken)
				}
				if report.Strayed != 0 {
					t.Error("a redirect was followed: the token went elsewhere")
				}
				if report.Faults[fault] == 0 {
					t.Error("the fault did not strike; this case shows nothing")
				}
			})
		}
	}
}

// TestDingTalkBytes: however much there is to say, the robot takes it, and what
// is left out is counted.
func TestDingTalkBytes(t *testing.T) {
	t.Parallel()
	long := func(n int) callback.IncidentFacts {
		f := threeOrders
		f.Orders = make([]string, n)
		for i := range f.Orders {
			f.Orders[i] = strings.Repeat("*_", 16)
		}
		return f
	}
	for _, pages := range []int{1, 2, 9, 10, 11, 500} {
		for _, orders := range []int{0, 5, 40, 400} {
			robot, channel := near(pager.Chinese)
			channel.Keyword = "支付告警"
			channel.Writer.Links.Dashboard = "https://grafana.example.com/?a=1&b=" + strings.Repeat("&", 300)
			m := pager.Message{Written: night}
			for range pages {
				p := with(failed(callback.Proven, callback.ReasonConflict, 2), pager.Opened, long(orders))
				m.Pages = append(m.Pages, p)
			}
			if err := channel.Send(t.Context(), m); err != nil {
				t.Fatalf("%d pages of %d orders: %v", pages, orders, err)
			}
			got := robot.Messages()[0]
			for _, want := range []string{"支付告警", "@13900000000", "2 次支付回调失败", "处置"} {
				if !strings.Contains(got.Text, want) {
					t.Errorf("%d pages of %d orders: no %q", pages, orders, want)
				}
			}
			if links := understand(got.Text); len(links.strange) > 0 || len(links.headings) != 1 {
				t.Errorf("%d pages of %d orders: broken markdown: %+v", pages, orders, links)
			}
			if described := strings.Count(got.Text, "商户订单号"); orders > 0 && described < pages && !strings.Contains(got.Text, "… +") && !strings.Contains(got.Text, "另有") {
				t.Errorf("%d of %d pages described, and the rest not counted", described, pages)
			}
		}
	}
}

// TestDingTalkBreaksNoLine: what does not fit is left out whole.
func TestDingTalkBreaksNoLine(t *testing.T) {
	t.Parallel()
	for _, n := range []int{17_000, 18_500, 19_000, 19_500, 40_000} {
		robot, channel := near(pager.English)
		channel.Writer.Links.Dashboard = "https://grafana.example.com/" + strings.Repeat("a", n)
		if err := channel.Send(t.Context(), samples()["opened"]); err != nil {
			t.Fatal(err)
		}
		text := robot.Messages()[0].Text
		if r := understand(text); strings.Contains(r.text, "](") || strings.Contains(r.text, "aaaa") || !strings.Contains(text, "- **Do**: ") || !strings.Contains(text, "@13800000000") {
			t.Errorf("an address of %d bytes: %.300q", n, r.text)
		}
	}
}

// TestRobotIsNeverMuted: a pager that has something new to say every second, and
// of two kinds, stays within what the robot bears, and what is critical gets its
// share. The robot here is the stand-in, which counts for itself.
func TestRobotIsNeverMuted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		robot, channel := near(pager.English)
		l := newLedger()
		p := &process{ledger: l}
		ctx, stop := context.WithCancel(t.Context())
		pages := pager.New(pager.Options{Book: p, Failures: p, Duty: p, Holder: "one", Evaluate: true, Routes: []pager.Route{
			{Name: "robot", Channel: channel, PerMinute: pager.DingTalkPerMinute, Reserved: pager.DingTalkReserved},
		}})
		done := make(chan struct{})
		go func() { pages.Run(ctx); close(done) }()
		reasons := callback.Reasons()
		for second := range 300 {
			// Strangers come first and all the time; what is proven hides among them.
			l.fail(fmt.Sprint("shop-", second), callback.Unproven, callback.ReasonSignatureInvalid)
			if second%7 == 3 {
				l.fail(fmt.Sprint("shop-", second), callback.Proven, reasons[5+second%14])
			}
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		stop()
		<-done
		report := robot.Report()
		if report.Mutes > 0 || len(report.Codes) != 1 {
			t.Errorf("the robot was muted: %+v", report)
		}
		messages := robot.Messages()
		if len(messages) < 60 {
			t.Errorf("%d messages in five minutes: the limit is stricter than it says", len(messages))
		}
		for i := range messages {
			n, unproven := 0, 0
			for _, other := range messages[i:] {
				if other.At.Sub(messages[i].At) < time.Minute {
					n++
					if strings.Contains(other.Title, "warning") {
						unproven++
					}
				}
			}
			if n > pager.DingTalkPerMinute || unproven > pager.DingTalkPerMinute-pager.DingTalkReserved {
				t.Fatalf("%d messages within a minute, %d of them unproven", n, unproven)
			}
		}
		for _, f := range l.failures {
			if f.class != callback.Proven {
				continue
			}
			told := l.incidents[f.incident-1].Told
			if late := told.Sub(f.at); told.IsZero() || late > 15*time.Second {
				t.Errorf("a proven failure of %s was told %s late", f.merchant, late)
			}
		}
	})
}

// TestMutedRobotIsLeftAlone: one answer that it is mute, and nothing is sent to
// it for ten minutes; then everything at once.
func TestMutedRobotIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		robot, channel := near(pager.English)
		robot.Misbehave(dingtalk.Trouble{Fault: dingtalk.ErrorCode, Code: dingtalk.CodeTooFast, Times: 1})
		l := newLedger()
		p := &process{ledger: l}
		ctx, stop := context.WithCancel(t.Context())
		pages := pager.New(pager.Options{Book: p, Failures: p, Duty: p, Holder: "one", Evaluate: true, Routes: []pager.Route{{Name: "robot", Channel: channel}}})
		done := make(chan struct{})
		go func() { pages.Run(ctx); close(done) }()
		l.fail("shop", callback.Proven, callback.ReasonConflict)
		time.Sleep(5 * time.Second)
		l.fail("cafe", callback.Proven, callback.ReasonConflict)
		time.Sleep(9 * time.Minute)
		if n := robot.Report().Requests; n != 1 {
			t.Errorf("%d requests to a mute robot, want 1", n)
		}
		time.Sleep(2 * time.Minute)
		stop()
		<-done
		got := robot.Messages()
		if len(got) != 1 || !strings.Contains(got[0].Text, "cafe") || !strings.Contains(got[0].Text, "shop") {
			t.Errorf("after the silence: %+v", got)
		}
	})
}

// TestDingTalkAnswersThatAreNone: what is not JSON with an errcode is no success.
func TestDingTalkAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "ok", "null", "0", "[]", "{}", `{"errcode":null}`, `{"errcode":"0"}`, `{"errmsg":"ok"}`, `{"errcode":0`, strings.Repeat(" ", 70_000) + `{"errcode":0}`} {
		channel := pager.DingTalk{
			URL: "https://robot.example/robot/send?access_token=x",
			Client: &http.Client{Transport: inProcess{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(body))
			})}},
		}
		if err := channel.Send(t.Context(), samples()["opened"]); err == nil {
			t.Errorf("%.20q was taken for success", body)
		}
	}
}

// TestDrillDoesNotHideAFailure: in one message with a failure, the drill comes last.
func TestDrillDoesNotHideAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		robot, channel := near(pager.English)
		robot.Misbehave(dingtalk.Trouble{Fault: dingtalk.ServerError, Times: 1}) // both have to wait
		l := newLedger()
		p := &process{ledger: l}
		drilled := false
		pages := pager.New(pager.Options{
			Book: p, Failures: p, Duty: p, Holder: "one", Evaluate: true, Routes: []pager.Route{{Name: "robot", Channel: channel}},
			Drill: func(now time.Time) time.Time {
				if drilled {
					return now.Add(24 * time.Hour)
				}
				drilled = true
				return now.Add(time.Second)
			},
		})
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		go func() {
			time.Sleep(3 * time.Second)
			l.fail("shop", callback.Proven, callback.ReasonConflict)
		}()
		pages.Run(ctx)
		got := robot.Messages()
		if len(got) != 1 || !strings.Contains(got[0].Title, "CRITICAL") || !strings.Contains(got[0].Title, "shop") || !strings.Contains(got[0].Text, "drill") {
			t.Errorf("messages %+v", got)
		}
	})
}
