package wechat_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wxnotify/service/simulator/wechat"
)

// answering is a network that answers at once.
type answering func(*http.Request) (status int, body string)

func (f answering) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	status, body := f(r)
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func TestScheduleIsTheOfficialOne(t *testing.T) {
	t.Parallel()
	var sum time.Duration
	for _, gap := range wechat.Schedule() {
		sum += gap
	}
	if n := len(wechat.Schedule()); n != 15 || sum != 24*time.Hour+4*time.Minute {
		t.Errorf("%d gaps in %s, want 15 in 24h4m0s", n, sum)
	}
}

// arrivals are the offsets of the official schedule, written out.
var arrivals = []time.Duration{
	0, 15 * time.Second, 30 * time.Second, time.Minute, 4 * time.Minute, 14 * time.Minute, 34 * time.Minute,
	64 * time.Minute, 94 * time.Minute, 124 * time.Minute, 184 * time.Minute, 364 * time.Minute, 544 * time.Minute,
	724 * time.Minute, 1084 * time.Minute, 1444 * time.Minute,
}

func TestRetriesFollowTheSchedule(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		refused int // sendings before the first success
		speed   float64
		state   wechat.State
	}{
		{"at once", 0, 1, wechat.Acknowledged},
		{"after a probe", 1, 1, wechat.Acknowledged},
		{"with the last one", 15, 1, wechat.Acknowledged},
		{"never", 99, 1, wechat.GivenUp},
		{"never, a thousand times faster", 99, 1000, wechat.GivenUp},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := merchantAt(t, "http://shop/wechatpay/shop")
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var seen []time.Duration
				p := wechat.New(wechat.Options{Speed: c.speed, Transport: answering(func(*http.Request) (int, string) {
					seen = append(seen, time.Duration(float64(time.Since(start))*c.speed))
					if len(seen) <= c.refused {
						return http.StatusServiceUnavailable, ""
					}
					return http.StatusNoContent, ""
				})})
				message := m.Message(wechat.Payment, wechat.NewOrder(1))
				state, err := p.Send(t.Context(), message, wechat.Plan{})
				if err != nil || state != c.state {
					t.Fatalf("%s, %v; want %s", state, err, c.state)
				}
				want := arrivals[:min(c.refused+1, len(arrivals))]
				if !slices.Equal(seen, want) {
					t.Errorf("sent at %v\nwant    %v", seen, want)
				}
				e, _ := p.Ledger().Entry(message.ID)
				for i, s := range e.Sendings {
					if s.Due != want[i] {
						t.Errorf("ledger has sending %d at %s, want %s", i, s.Due, want[i])
					}
				}
				p.Close()
			})
		})
	}
}

func TestEndOfTheRunLeavesAMessagePending(t *testing.T) {
	t.Parallel()
	m := merchantAt(t, "http://shop/wechatpay/shop")
	synctest.Test(t, func(t *testing.T) {
		p := wechat.New(wechat.Options{Transport: answering(func(*http.Request) (int, string) { return 500, "" })})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		state, _ := p.Send(ctx, m.Message(wechat.Payment, wechat.NewOrder(1)), wechat.Plan{})
		r := p.Ledger().Report()
		if state != wechat.Pending || r.Pending != 1 || r.Messages != 1 {
			t.Errorf("%s, report %+v", state, r)
		}
	})
}

func TestAnswersAreJudgedAsWeChatPayDoes(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{200: true, 204: true, 201: false, 202: false, 301: false, 401: false, 500: false} {
		if got := wechat.JudgeV3(status); got != want {
			t.Errorf("v3 %d: %t, want %t", status, got, want)
		}
	}
	const ok = "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>"
	for _, c := range []struct {
		body string
		want bool
	}{
		{ok, true},
		{ok + "\n", true},
		{"<xml><return_code>SUCCESS</return_code></xml>", true},
		{strings.Replace(ok, "SUCCESS", "FAIL", 1), false},
		{"", false},
		{"success", false},
		{"SUCCESS", false},
		{`{"code":"SUCCESS"}`, false},
		{"<html>SUCCESS</html>", false},
		{"\ufeff" + ok, false},
		{"\n" + ok, false},
		{ok + `\n`, false},
		{"<xml></xml>", false},
		{"<xml><return_code>SUCCESS</xml>", false},
	} {
		if got := wechat.JudgeV2(200, c.body); got != c.want {
			t.Errorf("v2 %q: %t, want %t", c.body, got, c.want)
		}
	}
	if wechat.JudgeV2(500, ok) {
		t.Error("v2 success with 500 counts as received")
	}
}

func FuzzJudgeV2(f *testing.F) {
	f.Add("<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>")
	f.Add("<xml><return_code>FAIL</return_code></xml>")
	f.Add("<xml><!DOCTYPE x><return_code>&x;</return_code></xml>")
	f.Fuzz(func(t *testing.T, body string) {
		if wechat.JudgeV2(200, body) && !strings.HasPrefix(body, "<xml>") {
			t.Errorf("%q counts as received", body)
		}
	})
}

// Copies are under way at the same time, each on its own connection: the
// receiver here answers none before it has all.
func TestCopiesArriveTogether(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	var mu sync.Mutex
	senders, signatures := map[string]bool{}, map[string]bool{}
	all.Add(3)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		senders[r.RemoteAddr], signatures[r.Header.Get("Wechatpay-Signature")] = true, true
		mu.Unlock()
		all.Done()
		all.Wait()
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	p := wechat.New(wechat.Options{})
	defer p.Close()
	m := merchantAt(t, server.URL+"/x").Message(wechat.Payment, wechat.NewOrder(1))
	if s, err := p.Send(t.Context(), m, wechat.Plan{Copies: 2}); s != wechat.Acknowledged || err != nil {
		t.Fatal(s, err)
	}
	if len(senders) != 3 || len(signatures) != 3 {
		t.Errorf("%d connections, %d signatures; want 3 and 3", len(senders), len(signatures))
	}
	if r := p.Ledger().Report(); r.Copies != 2 || r.Repeats != 2 || r.Acknowledged != 1 {
		t.Errorf("report %+v", r)
	}
}

// However fast the receiver, two copies never share a connection.
func TestCopiesShareNoConnection(t *testing.T) {
	t.Parallel()
	from := make(chan string, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from <- r.RemoteAddr
		_, _ = io.WriteString(w, "<xml><return_code>SUCCESS</return_code></xml>")
	}))
	defer server.Close()
	p := wechat.New(wechat.Options{})
	defer p.Close()
	m := merchantAt(t, server.URL+"/x")
	for range 200 {
		if _, err := p.Send(t.Context(), m.Message(wechat.PaymentMD5, wechat.NewOrder(1)), wechat.Plan{Copies: 1}); err != nil {
			t.Fatal(err)
		}
		if a, b := <-from, <-from; a == b {
			t.Fatalf("both copies came from %s", a)
		}
	}
}

// A lost answer is a whole request whose connection ends before the answer.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	bodies := make(chan int, 2)
	gone := make(chan struct{})
	var again atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- len(body)
		if !again.Swap(true) {
			<-r.Context().Done() // only the sender can end it
			close(gone)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	p := wechat.New(wechat.Options{Speed: 1000})
	defer p.Close()
	m := merchantAt(t, server.URL+"/x").Message(wechat.Payment, wechat.NewOrder(1))
	if s, err := p.Send(t.Context(), m, wechat.Plan{Fault: wechat.LostAnswer}); s != wechat.Acknowledged || err != nil {
		t.Fatal(s, err)
	}
	<-gone
	if a, b := <-bodies, <-bodies; a == 0 || a != b {
		t.Errorf("bodies of %d and %d bytes", a, b)
	}
	e, _ := p.Ledger().Entry(m.ID)
	if len(e.Sendings) != 2 || e.Sendings[0].Answer.Failure != wechat.Unread || e.Sendings[1].Nature != wechat.Resend {
		t.Errorf("story %+v", e)
	}
}

func TestUnansweredSendings(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/silent", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/hangup", func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	mux.Handle("/redirect", http.RedirectHandler("/ok", http.StatusMovedPermanently))
	mux.HandleFunc("/ok", func(http.ResponseWriter, *http.Request) {})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(stop) })
	for to, want := range map[string]wechat.Outcome{
		server.URL + "/silent":   {Failure: wechat.TimedOut},
		server.URL + "/hangup":   {Failure: wechat.Broken},
		server.URL + "/redirect": {Status: http.StatusMovedPermanently},
		server.URL + "/ok":       {Status: http.StatusOK, Acknowledged: true},
		"http://127.0.0.1:1/x":   {Failure: wechat.NotConnected},
	} {
		t.Run(to[strings.LastIndexByte(to, '/')+1:], func(t *testing.T) {
			t.Parallel()
			o := wechat.Options{Speed: 1e6}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if want.Failure == wechat.TimedOut { // 16 times would take a while
				o.AnswerLimit = 100 * time.Millisecond
				time.AfterFunc(3*o.AnswerLimit, cancel)
			}
			p := wechat.New(o)
			defer p.Close()
			m := merchantAt(t, to).Message(wechat.Payment, wechat.NewOrder(1))
			_, _ = p.Send(ctx, m, wechat.Plan{})
			e, _ := p.Ledger().Entry(m.ID)
			if got := e.Sendings[0].Answer.Outcome; got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}

func TestImpossiblePlans(t *testing.T) {
	t.Parallel()
	m := merchantAt(t, "http://shop/")
	p := wechat.New(wechat.Options{})
	for kind, plan := range map[wechat.Kind]wechat.Plan{
		wechat.Payment:    {Fault: "gremlins"},
		wechat.PaymentMD5: {Fault: wechat.Probe},
		wechat.Refund:     {Fault: wechat.WrongAmount},
		wechat.Combined:   {Copies: 8},
	} {
		if _, err := p.Send(t.Context(), m.Message(kind, wechat.NewOrder(1)), plan); err == nil {
			t.Errorf("%s with %+v was sent", kind, plan)
		}
	}
}
