package dingtalk

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What DingTalk allows.
const (
	PerMinute = 20
	MaxBody   = 20_000
	muteFor   = 10 * time.Minute
	clockSlip = time.Hour
)

// Options are how a robot is set up in its group.
type Options struct {
	// Token is the access_token of the robot's address.
	Token string
	// Secret is that of 加签; empty: signatures are not looked at.
	Secret string
	// Keywords: at least one must stand in a message (自定义关键词); none: any text.
	Keywords []string
	// Speed compresses the minute and the ten minutes of silence; 0: 1.
	Speed float64
	// Out, if not nil, is where each message is printed as it is taken.
	Out io.Writer
	// Anywhere lets it listen elsewhere than on the loopback: in a container.
	Anywhere bool
}

// Robot is one custom robot.
type Robot struct {
	opts Options

	mu      sync.Mutex
	trouble Trouble
	recent  []time.Time // messages within the last minute
	muted   time.Time   // until then
	report  Report
	taken   []Message
}

// Message is what the robot took.
type Message struct {
	At     time.Time `json:"at"`
	Type   string    `json:"type"`
	Title  string    `json:"title"`
	Text   string    `json:"text"`
	Called []string  `json:"called"` // mobiles that stand in the text as well
}

// Report counts what came.
type Report struct {
	Requests int           `json:"requests"`
	Taken    int           `json:"taken"`
	Mutes    int           `json:"mutes"`   // how often it went silent
	Strayed  int           `json:"strayed"` // requests that followed a redirect
	Codes    map[int]int   `json:"codes"`
	Faults   map[Fault]int `json:"faults"`
}

// kept bounds what a robot remembers.
const kept = 10_000

// New makes a robot.
func New(o Options) *Robot {
	if o.Speed == 0 {
		o.Speed = 1
	}
	return &Robot{opts: o, report: Report{Codes: map[int]int{}, Faults: map[Fault]int{}}}
}

// Misbehave orders trouble from now on.
func (r *Robot) Misbehave(t Trouble) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = t
}

// next is the trouble for the message that has just come.
func (r *Robot) next() Trouble {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.trouble
	if t.Fault == Sound {
		return t
	}
	r.report.Faults[t.Fault]++
	if t.Times > 0 {
		if r.trouble.Times--; r.trouble.Times == 0 {
			r.trouble = Trouble{}
		}
	}
	return t
}

// Messages is what was taken, the eldest first.
func (r *Robot) Messages() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Message(nil), r.taken...)
}

// Report is what came so far.
func (r *Robot) Report() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	report := r.report
	report.Codes, report.Faults = map[int]int{}, map[Fault]int{}
	for code, n := range r.report.Codes {
		report.Codes[code] = n
	}
	for fault, n := range r.report.Faults {
		report.Faults[fault] = n
	}
	return report
}

// send is POST /robot/send.
func (r *Robot) send(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	r.report.Requests++
	r.mu.Unlock()
	body, err := io.ReadAll(io.LimitReader(q.Body, 4*MaxBody))
	if err != nil {
		return
	}
	trouble := r.next()
	goOn, lose := r.strike(trouble, w, q, body)
	if !goOn {
		return
	}
	code, detail := r.judge(q, body, time.Now())
	if lose {
		panic(http.ErrAbortHandler)
	}
	answer(w, code, detail)
}

// judge takes the message, or says why not.
func (r *Robot) judge(q *http.Request, body []byte, now time.Time) (code int, detail string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.report.Codes[code]++ }()
	kind, _, _ := mime.ParseMediaType(q.Header.Get("Content-Type"))
	query := q.URL.Query()
	switch {
	case q.Method != http.MethodPost:
		return CodeNotPost, ""
	case kind != "application/json":
		return CodeContentType, ""
	case query.Get("access_token") == "" || query.Get("access_token") != r.opts.Token:
		return CodeNoToken, ""
	case r.tooFast(now):
		return CodeTooFast, ""
	case len(body) > MaxBody:
		return CodeBodyTooLarge, ""
	}
	if r.opts.Secret != "" {
		if wrong := signatureFault(query.Get("timestamp"), query.Get("sign"), r.opts.Secret, now); wrong != "" {
			return CodeSecurity, wrong
		}
	}
	m, code := read(body)
	if code != CodeOK {
		return code, ""
	}
	if !r.hasKeyword(m) {
		return CodeSecurity, "description:关键词不匹配;solution:请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词"
	}
	m.At = now
	r.report.Taken++
	if r.taken = append(r.taken, m); len(r.taken) > kept {
		r.taken = r.taken[1:]
	}
	if r.opts.Out != nil {
		_, _ = io.WriteString(r.opts.Out, m.block()) // it was taken all the same
	}
	return CodeOK, ""
}

// tooFast counts a message, and mutes the robot at the 21st of a minute.
func (r *Robot) tooFast(now time.Time) bool {
	if now.Before(r.muted) {
		return true
	}
	fresh := r.recent[:0]
	for _, at := range r.recent {
		if now.Sub(at) < r.compressed(time.Minute) {
			fresh = append(fresh, at)
		}
	}
	if r.recent = append(fresh, now); len(r.recent) <= PerMinute {
		return false
	}
	r.muted, r.recent = now.Add(r.compressed(muteFor)), nil
	r.report.Mutes++
	return true
}

func (r *Robot) compressed(d time.Duration) time.Duration {
	return time.Duration(float64(d) / r.opts.Speed)
}

// signatureFault says what is wrong with a signature: base64 of the HMAC-SHA256,
// keyed with the secret, of the time in milliseconds, a line feed, the secret.
func signatureFault(stamp, sign, secret string, now time.Time) string {
	ms, err := strconv.ParseInt(stamp, 10, 64)
	if slip := now.Sub(time.UnixMilli(ms)).Abs(); err != nil || slip > clockSlip {
		return "description:timestamp 无效;solution:请确认时间戳为毫秒，且与当前时间相差不超过 1 小时"
	}
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(mac, stamp+"\n"+secret)
	given, err := base64.StdEncoding.DecodeString(sign)
	if err != nil || !hmac.Equal(given, mac.Sum(nil)) {
		return words[CodeSecurity]
	}
	return ""
}

// read takes a body apart: markdown or text.
func read(body []byte) (m Message, code int) {
	var sent struct {
		Type     string `json:"msgtype"`
		Markdown *struct {
			Title string `json:"title"`
			Text  string `json:"text"`
		} `json:"markdown"`
		Text *struct {
			Content string `json:"content"`
		} `json:"text"`
		At struct {
			Mobiles []string `json:"atMobiles"`
		} `json:"at"`
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		return m, CodeBadJSON
	}
	m.Type = sent.Type
	switch {
	case sent.Type == "markdown" && sent.Markdown != nil && sent.Markdown.Title != "" && sent.Markdown.Text != "":
		m.Title, m.Text = sent.Markdown.Title, sent.Markdown.Text
	case sent.Type == "text" && sent.Text != nil && sent.Text.Content != "":
		m.Text = sent.Text.Content
	default:
		return m, CodeMissing
	}
	for _, mobile := range sent.At.Mobiles {
		if strings.Contains(m.Text, "@"+mobile) {
			m.Called = append(m.Called, mobile)
		}
	}
	return m, CodeOK
}

func (r *Robot) hasKeyword(m Message) bool {
	for _, k := range r.opts.Keywords {
		if strings.Contains(m.Title+"\n"+m.Text, k) {
			return true
		}
	}
	return len(r.opts.Keywords) == 0
}
