package dingtalk_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wxnotify/service/simulator/dingtalk"
)

// The vector of this test was worked out by somebody else:
//
//	printf '1795373530000\nSEC1' | openssl dgst -sha256 -hmac SEC1 -binary | base64
const (
	stamp     = 1795373530000
	signature = "CI0WdaHyqu20fA2D6f+RNjevcUYq+3uSubvYy/5k/c8="
)

const sound = `{"msgtype":"markdown","markdown":{"title":"支付告警","text":"### 3 failed\n\n- **a**: b\n\n@13800000000"},"at":{"atMobiles":["13800000000","13900000000"]}}`

// send posts as a sender with its own idea of the protocol.
func send(t *testing.T, r *dingtalk.Robot, query url.Values, body string) (code int) {
	t.Helper()
	q := httptest.NewRequest(http.MethodPost, "/robot/send?"+query.Encode(), strings.NewReader(body))
	q.Header.Set("Content-Type", "application/json;charset=utf-8")
	return verdict(t, r, q)
}

func verdict(t *testing.T, r *dingtalk.Robot, q *http.Request) int {
	t.Helper()
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, q)
	var answer struct {
		Code *int   `json:"errcode"`
		Text string `json:"errmsg"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Code == nil || answer.Text == "" || w.Code != http.StatusOK {
		t.Fatalf("%d %q: every verdict is a 200 with errcode and errmsg", w.Code, w.Body)
	}
	return *answer.Code
}

func query(add ...string) url.Values {
	v := url.Values{"access_token": {"T"}}
	for i := 0; i+1 < len(add); i += 2 {
		v.Set(add[i], add[i+1])
	}
	return v
}

func TestRobotJudges(t *testing.T) {
	t.Parallel()
	secret, keyword := dingtalk.Options{Token: "T", Secret: "SEC1"}, dingtalk.Options{Token: "T", Keywords: []string{"退款", "支付"}}
	ms := fmt.Sprint(stamp)
	for name, c := range map[string]struct {
		robot dingtalk.Options
		off   time.Duration // of the sender's clock
		query url.Values
		body  string
		code  int
	}{
		"sound":               {secret, 0, query("timestamp", ms, "sign", signature), sound, 0},
		"59 min late":         {secret, 59 * time.Minute, query("timestamp", ms, "sign", signature), sound, 0},
		"61 min late":         {secret, 61 * time.Minute, query("timestamp", ms, "sign", signature), sound, 310000},
		"61 min early":        {secret, -61 * time.Minute, query("timestamp", ms, "sign", signature), sound, 310000},
		"seconds":             {secret, 0, query("timestamp", ms[:10], "sign", signature), sound, 310000},
		"another's signature": {secret, 0, query("timestamp", ms, "sign", "AAAA"+signature[4:]), sound, 310000},
		"unsigned":            {secret, 0, query(), sound, 310000},
		"keyword":             {keyword, 0, query(), sound, 0},
		"no keyword":          {keyword, 0, query(), strings.ReplaceAll(sound, "支付", ""), 310000},
		"no token":            {secret, 0, url.Values{}, sound, 300001},
		"wrong token":         {secret, 0, query("access_token", "U"), sound, 300001},
		"text":                {dingtalk.Options{Token: "T"}, 0, query(), `{"msgtype":"text","text":{"content":"x"}}`, 0},
		"no JSON":             {dingtalk.Options{Token: "T"}, 0, query(), `{`, 40035},
		"no title":            {dingtalk.Options{Token: "T"}, 0, query(), `{"msgtype":"markdown","markdown":{"text":"x"}}`, 400403},
		"no type":             {dingtalk.Options{Token: "T"}, 0, query(), `{"markdown":{"title":"t","text":"x"}}`, 400403},
		"20000 bytes":         {dingtalk.Options{Token: "T"}, 0, query(), padded(20000), 0},
		"20001 bytes":         {dingtalk.Options{Token: "T"}, 0, query(), padded(20001), 460101},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.UnixMilli(stamp).Add(c.off)))
				r := dingtalk.New(c.robot)
				if code := send(t, r, c.query, c.body); code != c.code {
					t.Errorf("errcode %d, want %d", code, c.code)
				}
				if taken := len(r.Messages()); (taken == 1) != (c.code == 0) {
					t.Errorf("%d taken", taken)
				}
			})
		})
	}
}

func padded(n int) string {
	frame := `{"msgtype":"text","text":{"content":""}}`
	return `{"msgtype":"text","text":{"content":"` + strings.Repeat("x", n-len(frame)) + `"}}`
}

func TestRobotWantsPostedJSON(t *testing.T) {
	t.Parallel()
	r := dingtalk.New(dingtalk.Options{Token: "T"})
	if code := verdict(t, r, httptest.NewRequest(http.MethodGet, "/robot/send?access_token=T", nil)); code != dingtalk.CodeNotPost {
		t.Errorf("GET: %d", code)
	}
	if code := verdict(t, r, httptest.NewRequest(http.MethodPost, "/robot/send?access_token=T", strings.NewReader(sound))); code != dingtalk.CodeContentType {
		t.Errorf("without a type: %d", code)
	}
}

// TestRobotGoesMute: 20 in a minute are taken, the 21st silences it for ten.
func TestRobotGoesMute(t *testing.T) {
	t.Parallel()
	for _, speed := range []float64{1, 60} {
		synctest.Test(t, func(t *testing.T) {
			minute := time.Duration(float64(time.Minute) / speed)
			r := dingtalk.New(dingtalk.Options{Token: "T", Speed: speed})
			burst := func() (taken int) {
				for range 21 {
					if send(t, r, query(), sound) == 0 {
						taken++
					}
				}
				return taken
			}
			if n := burst(); n != 20 {
				t.Errorf("%d taken of the first burst", n)
			}
			time.Sleep(10*minute - time.Millisecond)
			if n := burst(); n != 0 {
				t.Errorf("%d taken while mute", n)
			}
			time.Sleep(2 * time.Millisecond)
			if n := burst(); n != 20 {
				t.Errorf("%d taken after ten minutes", n)
			}
			if report := r.Report(); report.Mutes != 2 || report.Taken != 40 || report.Requests != 63 || report.Codes[dingtalk.CodeTooFast] != 23 {
				t.Errorf("report %+v", report)
			}
		})
	}
}

// TestRobotCallsByName: only whose number stands in the text as well.
func TestRobotCallsByName(t *testing.T) {
	t.Parallel()
	r := dingtalk.New(dingtalk.Options{Token: "T"})
	send(t, r, query(), sound)
	if m := r.Messages()[0]; fmt.Sprint(m.Called) != "[13800000000]" || m.Title != "支付告警" {
		t.Errorf("took %+v", m)
	}
}

// TestServer: the robot on a port, its control and its page, and each fault as a
// sender meets it there.
func TestServer(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			t.Parallel()
			r := dingtalk.New(dingtalk.Options{Token: "T&1"})
			s, err := dingtalk.Listen(t.Context(), "127.0.0.1:0", r, secure)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close() //nolint:errcheck // ends with the test
			client := &http.Client{
				Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: s.CA, MinVersion: tls.VersionTLS12}},
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			}
			do := func(method, to, body string) (status int, answer string) {
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				q, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				q.Header.Set("Content-Type", "application/json")
				res, err := client.Do(q)
				if err != nil {
					return 0, err.Error()
				}
				defer res.Body.Close()
				all, _ := io.ReadAll(res.Body)
				return res.StatusCode, string(all)
			}
			want := map[dingtalk.Fault]struct {
				status int
				says   string
			}{
				dingtalk.ErrorCode: {200, `"errcode":130101`}, dingtalk.ServerError: {502, "Bad Gateway"}, dingtalk.Redirect: {307, ""},
				dingtalk.InvalidJSON: {200, "<title>"}, dingtalk.NoCode: {200, "success"}, dingtalk.Echo: {200, "T%261"},
			}
			for _, fault := range dingtalk.Faults() {
				if fault == dingtalk.Slow {
					continue
				}
				if status, answer := do(http.MethodPost, s.Page+"faults", fmt.Sprintf(`{"fault":%q,"code":130101,"times":1}`, fault)); status != http.StatusNoContent {
					t.Fatalf("ordering %s: %d %s", fault, status, answer)
				}
				status, answer := do(http.MethodPost, s.URL, sound)
				if w := want[fault]; status != w.status || !strings.Contains(answer, w.says) {
					t.Errorf("%s: %d %q, want %d %q", fault, status, answer, w.status, w.says)
				}
			}
			if status, answer := do(http.MethodPost, s.URL, sound); status != 200 || !strings.Contains(answer, `"errcode":0`) {
				t.Errorf("after the faults: %d %s", status, answer)
			}
			if _, answer := do(http.MethodGet, s.Page, ""); !strings.Contains(answer, "<h3>3 failed</h3>") || !strings.Contains(answer, `<span class="called">@13800000000</span>`) {
				t.Errorf("page %s", answer)
			}
			if _, answer := do(http.MethodGet, s.Page+"messages", ""); !strings.Contains(answer, `"taken":2`) {
				t.Errorf("messages %s", answer)
			}
			if status, _ := do(http.MethodPost, s.Page+"faults", `{"fault":"gremlins"}`); status != http.StatusBadRequest {
				t.Errorf("an unknown fault: %d", status)
			}
		})
	}
}

func TestListenStaysHome(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{":0", "0.0.0.0:0", "192.0.2.1:0", "example.com:80", "nonsense"} {
		if s, err := dingtalk.Listen(t.Context(), addr, dingtalk.New(dingtalk.Options{}), false); err == nil {
			_ = s.Close()
			t.Errorf("%s was listened on", addr)
		}
	}
}

// TestListenAnywhere: in a container the loopback is not enough.
func TestListenAnywhere(t *testing.T) {
	t.Parallel()
	s, err := dingtalk.Listen(t.Context(), ":0", dingtalk.New(dingtalk.Options{Anywhere: true}), false)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
}

// TestPrints: a message is printed as it was sent, but for what a terminal obeys.
func TestPrints(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := dingtalk.New(dingtalk.Options{Token: "T", Out: &out})
	send(t, r, query(), `{"msgtype":"markdown","markdown":{"title":"3 failed","text":"### 3 \\[failed\\]\n\n- \u001b[31m未入账"}}`)
	if _, said, _ := strings.Cut(out.String(), "  "); said != "3 failed ━━\n   ### 3 \\[failed\\]\n   - [31m未入账\n\n" {
		t.Errorf("printed %q", out.String())
	}
	send(t, r, url.Values{"access_token": {"wrong"}}, `{"msgtype":"text","text":{"content":"refused"}}`)
	if strings.Contains(out.String(), "refused") {
		t.Error("what was refused is printed")
	}
}

// TestPageShowsNoHTML: what was sent as HTML is not run by who looks at it.
func TestPageShowsNoHTML(t *testing.T) {
	t.Parallel()
	r := dingtalk.New(dingtalk.Options{Token: "T"})
	send(t, r, query(), `{"msgtype":"markdown","markdown":{"title":"<b>t","text":"<script>alert(1)</script>\n\n[x](javascript:alert(1))"}}`)
	send(t, r, query(), `{"msgtype":"text","text":{"content":"<script>alert(2)</script>"}}`)
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if page := w.Body.String(); strings.Contains(page, "<script") || strings.Contains(page, "javascript:") || strings.Contains(page, "<b>t") {
		t.Errorf("page %s", page)
	}
}
