package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/web"
)

// judged answers what the door has refused with that, and all else as accepted.
func judged(env callback.Envelope) (callback.Receipt, error) {
	if env.Verdict != nil {
		return callback.Receipt{}, env.Verdict
	}
	return accepted(env)
}

// full is a door that lets nobody in.
const full = -1

// TestShed: what comes while too much is on its way is answered at once, unread,
// and goes by whoever watches the others.
func TestShed(t *testing.T) {
	t.Parallel()
	reached, release := make(chan struct{}), make(chan struct{})
	a := &accepter{answer: func(env callback.Envelope) (callback.Receipt, error) {
		if env.Verdict == nil {
			reached <- struct{}{}
			<-release
		}
		return judged(env)
	}}
	var watched atomic.Int64
	door := web.NewPublic(web.PublicOptions{Accept: a, MaxInFlight: 2, Watch: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			watched.Add(1)
			next.ServeHTTP(w, r)
		})
	}})
	answers := make(chan int, 2)
	for range 2 {
		go func() { answers <- serve(door, post("/wechatpay/shop", "{}")).StatusCode }()
		<-reached
	}
	const shed = 5
	for range shed {
		unread := post("/wechatpay/shop", "{}")
		if got := serve(door, unread); got.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("status %d", got.StatusCode)
		}
		if rest, _ := io.ReadAll(unread.Body); string(rest) != "{}" {
			t.Errorf("its body was read")
		}
	}
	if got := serve(door, httptest.NewRequest(http.MethodGet, "/wechatpay/shop", nil)); got.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("what is no callback: %d", got.StatusCode)
	}
	for _, env := range a.got[2:] {
		if v := env.Verdict; v == nil || v.Reason != callback.ReasonOverloaded || env.ID == "" || env.Merchant != "shop" ||
			env.Received.IsZero() || env.Read.Before(env.Received) || env.Length != 2 || !env.Peer.IsValid() {
			t.Errorf("envelope %+v", env)
		}
	}
	if len(a.got) != 2+shed {
		t.Errorf("%d were accounted for, want %d", len(a.got), 2+shed)
	}
	close(release)
	for range 2 {
		if status := <-answers; status != http.StatusNoContent {
			t.Errorf("one of the others: %d", status)
		}
	}
	if n := watched.Load(); n != 3 {
		t.Errorf("%d were watched, want the two that were let in and the GET", n)
	}
	go func() { <-reached }()
	if got := serve(door, post("/wechatpay/shop", "{}")); got.StatusCode != http.StatusNoContent {
		t.Errorf("afterwards: %d", got.StatusCode)
	}
}

// TestShedAsLetIn: a callback that is shed is answered, and said to be whose it is,
// as it would be inside.
func TestShedAsLetIn(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"/wechatpay/shop", "/wechatpay/shop/", "//wechatpay///shop//", "/wechatpay/", "/wechatpay", "/", "/notify/wx",
		"/wechatpay/shop/more", "/wechatpay/a%2Fb", "/wechatpay/%E5%BA%97", "/x/../wechatpay/shop", "/WECHATPAY/shop",
	} {
		for _, contentType := range []string{"application/json", "text/xml"} {
			t.Run(target+" "+contentType, func(t *testing.T) {
				t.Parallel()
				request := func() *http.Request {
					r := post(target, "")
					r.Header.Set("Content-Type", contentType)
					r.Header.Set("Wechatpay-Serial", "S")
					return r
				}
				inside, outside := &accepter{answer: refuse(callback.ReasonOverloaded)}, &accepter{answer: judged}
				want := dump(t, serve(web.NewPublic(web.PublicOptions{Accept: inside}), request()))
				got := dump(t, serve(web.NewPublic(web.PublicOptions{Accept: outside, MaxInFlight: full}), request()))
				if got != want {
					t.Errorf("answered %q, inside %q", got, want)
				}
				in, out := inside.only(t), outside.only(t)
				if out.Merchant != in.Merchant || out.Signature != in.Signature || out.Peer != in.Peer || out.API() != in.API() {
					t.Errorf("envelope %+v, inside %+v", out, in)
				}
			})
		}
	}
}

// TestShedBreaks: a fault while something is shed is that callback's alone. The
// last one would end the process if it were not brought back to its connection.
func TestShedBreaks(t *testing.T) {
	t.Parallel()
	breaking := func(p any) http.Handler {
		return web.NewPublic(web.PublicOptions{MaxInFlight: full, Accept: &accepter{answer: func(callback.Envelope) (callback.Receipt, error) { panic(p) }}})
	}
	if got := serve(breaking("oops"), post("/wechatpay/shop", "{}")); got.StatusCode != http.StatusInternalServerError {
		t.Errorf("status %d", got.StatusCode)
	}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler { //nolint:errorlint // the very same value
			t.Errorf("the connection's goroutine got %v", p)
		}
	}()
	serve(breaking(http.ErrAbortHandler), post("/wechatpay/shop", "{}"))
}

// TestShedIsNoted: an answer is noted where it has a row to be noted on.
func TestShedIsNoted(t *testing.T) {
	t.Parallel()
	n, rows := notes{make(chan string, 2)}, []string{"row", ""}
	door := web.NewPublic(web.PublicOptions{Note: n, MaxInFlight: full, Accept: &accepter{answer: func(env callback.Envelope) (callback.Receipt, error) {
		refusal := *env.Verdict
		refusal.Trail.Row, rows = rows[0], rows[1:]
		return callback.Receipt{}, &refusal
	}}})
	serve(door, post("/wechatpay/shop", "{}"))
	serve(door, post("/wechatpay/shop", "{}"))
	close(n.got)
	if first, second := <-n.got, <-n.got; first != "true 503 true" || second != "" {
		t.Errorf("noted %q and %q", first, second)
	}
}

// TestShedTogether: many are shed at once, each gets its own answer, and no
// goroutine is left a little later.
func TestShedTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const flood = 200
		a := &accepter{answer: func(env callback.Envelope) (callback.Receipt, error) {
			time.Sleep(time.Millisecond)
			return judged(env)
		}}
		door := web.NewPublic(web.PublicOptions{Accept: a, MaxInFlight: full})
		answers := make(chan string, flood)
		for i := range flood {
			go func() {
				r := post("/wechatpay/shop", "")
				if i%2 == 0 {
					r.Header.Set("Content-Type", "text/xml")
				}
				w := httptest.NewRecorder()
				door.ServeHTTP(w, r)
				if xml := strings.HasPrefix(w.Body.String(), "<xml>"); xml != (i%2 == 0) {
					t.Errorf("answered %s", w.Body)
				}
				answers <- w.Result().Status
			}()
		}
		for range flood {
			if got := <-answers; got != "503 Service Unavailable" {
				t.Errorf("answered %s", got)
			}
		}
		if len(a.got) != flood {
			t.Errorf("%d of %d were accounted for", len(a.got), flood)
		}
		time.Sleep(5 * time.Second) // of the bubble's: a goroutine that is left by now fails the test
	})
}
