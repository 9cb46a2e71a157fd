package wechat_test

import (
	"flag"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wxnotify/service/simulator/wechat"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func TestQuantiles(t *testing.T) {
	t.Parallel()
	durations := make([]time.Duration, 10_000)
	for i := range durations {
		durations[i] = time.Duration(rand.ExpFloat64() * float64(20*time.Millisecond)).Truncate(time.Microsecond)
	}
	sorted := slices.Sorted(slices.Values(durations))
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		exact := sorted[int(q*float64(len(sorted)))-1]
		if got := wechat.Quantile(q, durations); got < exact || float64(got) > float64(exact)*(1+1./32)+1 {
			t.Errorf("quantile %g: %s, exactly %s", q, got, exact)
		}
	}
	if got := wechat.Quantile(0.99, nil); got != 0 {
		t.Errorf("of nothing: %s", got)
	}
}

func TestLoadSendsEachMessageOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		o    wechat.LoadOptions
	}{
		{"closed loop", wechat.LoadOptions{Count: 20, Senders: 4}},
		{"presigned", wechat.LoadOptions{Count: 20, Senders: 4, Presigned: true, Copies: 1}},
		{"open loop, v2", wechat.LoadOptions{Count: 20, Senders: 4, Rate: 1000, Kind: wechat.PaymentMD5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t)
			c.o.Merchant = r.merchant
			report, err := wechat.Load(t.Context(), c.o)
			if err != nil {
				t.Fatal(err)
			}
			accepted, repeats := r.counts()
			if accepted != 20 || repeats != int64(20*c.o.Copies) || report.Messages != 20 || report.Sendings != accepted+repeats {
				t.Errorf("accepted %d and %d again, report %+v", accepted, repeats, report)
			}
			for o := range report.Outcomes {
				if !o.Acknowledged {
					t.Errorf("outcome %s", o)
				}
			}
			if report.Rate <= 0 || report.P50 <= 0 || report.P50 > report.P99 || report.P99 > report.Max {
				t.Errorf("report %+v", report)
			}
		})
	}
}

// A receiver that stalls once delays all that was due meanwhile, and an open
// loop says so.
func TestOpenLoopCountsWaiting(t *testing.T) {
	t.Parallel()
	m := merchantAt(t, "http://shop/x")
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		report, err := wechat.Load(t.Context(), wechat.LoadOptions{
			Merchant: m, Rate: 10, For: time.Second,
			Transport: answering(func(*http.Request) (int, string) {
				if n.Add(1) == 1 {
					time.Sleep(time.Second)
				}
				return 204, ""
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		if report.Messages != 10 || report.P50 < 500*time.Millisecond || report.Max != time.Second {
			t.Errorf("report %+v", report)
		}
	})
}

func TestLoadReportText(t *testing.T) {
	t.Parallel()
	golden(t, "load.txt", wechat.LoadReport{
		Messages: 10, Sendings: 20, Elapsed: 1500 * time.Millisecond, Rate: 13.3,
		P50: time.Millisecond, P99: 20 * time.Millisecond, Max: 21 * time.Millisecond,
		Outcomes: map[wechat.Outcome]int64{
			{Acknowledged: true, Status: 204}: 18, {Status: 503}: 1, {Failure: wechat.TimedOut}: 1,
		},
	}.String())
}

func TestLoadRefusesNonsense(t *testing.T) {
	t.Parallel()
	m := merchantAt(t, "http://shop/x")
	for _, o := range []wechat.LoadOptions{
		{Count: 1}, {Merchant: m}, {Merchant: m, For: time.Second, Presigned: true}, {Merchant: m, Count: 1, Copies: 16},
	} {
		if _, err := wechat.Load(t.Context(), o); err == nil {
			t.Errorf("%+v was run", o)
		}
	}
}

// stub is a receiver that counts and can be broken.
type stub struct {
	mu       sync.Mutex
	broken   bool
	requests int
}

func (s *stub) answer(*http.Request) (int, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if s.broken {
		return 503, ""
	}
	return 204, ""
}

func (s *stub) flip(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = down
}

func TestOutage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		golden string
		o      wechat.OutageOptions
	}{
		// 1200 payments while down: those of the first 6 minutes have been sent
		// 6 times, at 0 s, 15 s, 30 s, 1 min, 4 min and 14 min, before it ends.
		{"outage_down.txt", wechat.OutageOptions{For: 20 * time.Minute, Rate: 1}},
		{"outage_lost_answers.txt", wechat.OutageOptions{For: 2 * time.Minute, Rate: 1, LostAnswers: 0.5, After: time.Minute}},
		{"outage_failing.txt", wechat.OutageOptions{For: time.Minute, Rate: 2, Kind: wechat.Failing, After: time.Minute}},
		// Longer than the schedule: the payment of the first second is lost.
		{"outage_too_long.txt", wechat.OutageOptions{For: 24*time.Hour + 5*time.Minute, Rate: 1. / 3600, After: time.Second}},
	} {
		t.Run(c.golden, func(t *testing.T) {
			t.Parallel()
			s := &stub{}
			c.o.Merchant, c.o.Transport, c.o.Switch = merchantAt(t, "http://shop/x"), answering(s.answer), s.flip
			if c.o.LostAnswers > 0 {
				c.o.Switch = nil
			}
			r, err := wechat.Outage(t.Context(), c.o)
			if err != nil {
				t.Fatal(err)
			}
			if r.Elapsed <= 0 || int64(s.requests) != r.Sent || r.Pending != 0 {
				t.Errorf("%d requests, report %+v", s.requests, r)
			}
			r.Elapsed = time.Second
			golden(t, c.golden, r.String())
		})
	}
}

func TestOutageIsCutShort(t *testing.T) {
	t.Parallel()
	ctx, cancel := contextWithCancel(t)
	var shown []wechat.OutageProgress
	s := &stub{}
	r, err := wechat.Outage(ctx, wechat.OutageOptions{
		Merchant: merchantAt(t, "http://shop/x"), For: time.Hour, Rate: 10,
		Transport: answering(s.answer), Switch: s.flip,
		Progress: func(p wechat.OutageProgress) { shown = append(shown, p); cancel() },
	})
	if err == nil || len(shown) != 1 || shown[0].Unacknowledged == 0 || r.Pending == 0 || s.broken {
		t.Errorf("%v, progress %+v, report %+v", err, shown, r)
	}
	if _, err := wechat.Outage(t.Context(), wechat.OutageOptions{}); err == nil {
		t.Error("an outage of nothing")
	}
}
