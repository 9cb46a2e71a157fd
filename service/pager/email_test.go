package pager_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/pager"
	"wxnotify/service/simulator/smtp"
)

// TestEmail: every way to protect and to log in, with a server that insists.
func TestEmail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tls  smtp.TLS
		user string
	}{{smtp.None, ""}, {smtp.Explicit, ""}, {smtp.Implicit, ""}, {smtp.Explicit, "wxnotify"}, {smtp.Implicit, "wxnotify"}} {
		t.Run(string(c.tls)+c.user, func(t *testing.T) {
			t.Parallel()
			server, relay := relayOn(t, smtp.Options{TLS: c.tls, Username: c.user, Password: "mail-password-77"})
			if err := mailTo(relay).Send(soon(t, 5*time.Second), samples()["opened"]); err != nil {
				t.Fatal(err)
			}
			l := server.Letters()[0]
			if l.Encrypted != (c.tls != smtp.None) || l.User != c.user || l.From != "wxnotify@example.com" || !slices.Equal(l.To, []string{"oncall@example.com"}) {
				t.Errorf("letter %+v", l)
			}
			if strings.Contains(string(l.Data), "mail-password") {
				t.Error("the password is in the letter")
			}
		})
	}
}

// TestEmailHeaders: what mail programs and servers go by.
func TestEmailHeaders(t *testing.T) {
	t.Parallel()
	server, relay := relayOn(t, smtp.Options{})
	email := mailTo(relay)
	again := samples()["opened"]
	again.Written = night.Add(20 * time.Second) // a second attempt, after a lost answer
	later := samples()["opened"]
	later.Pages[0].Occasion, later.Pages[0].Told = pager.Again, night
	for _, m := range []pager.Message{samples()["opened"], again, later, samples()["drill"]} {
		if err := email.Send(soon(t, 5*time.Second), m); err != nil {
			t.Fatal(err)
		}
	}
	var posts []post
	for _, l := range server.Letters() {
		posts = append(posts, open(t, l))
	}
	first := posts[0].header
	for name, want := range map[string]string{
		"From": "<wxnotify@example.com>", "To": "<oncall@example.com>", "Auto-Submitted": "auto-generated",
		"Importance": "high", "Date": "Mon, 23 Nov 2026 03:12:10 +0800",
	} {
		if got := first.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	id := func(n int) string { return posts[n].header.Get("Message-ID") }
	thread := func(n int) string { return posts[n].header.Get("References") }
	if id(0) != id(1) || id(0) == id(2) || id(2) == id(3) || !strings.HasSuffix(id(0), "@example.com>") {
		t.Errorf("ids %s, %s, %s, %s: a copy must have its original's, and nothing else", id(0), id(1), id(2), id(3))
	}
	if thread(0) != thread(2) || thread(0) == thread(3) || thread(0) != posts[0].header.Get("In-Reply-To") {
		t.Errorf("threads %s, %s, %s: one incident is one conversation", thread(0), thread(2), thread(3))
	}
	if got := posts[3].header.Get("Importance"); got != "" {
		t.Errorf("a drill of importance %q", got)
	}
}

// faults are what a relay can do, and whether the letter is taken all the same.
type relayFault struct {
	smtp.Fault
	taken bool // counts as sent
	twice bool // is taken, and nobody says so: the other relay gets a copy
}

func relayFaults() (all []relayFault) {
	for _, stage := range smtp.Stages() {
		for _, action := range []smtp.Action{smtp.Refuse, smtp.Hang, smtp.Reset, smtp.Delay} {
			codes := []int{0}
			if action == smtp.Refuse {
				codes = []int{421, 451, 471, 550, 554}
			}
			for _, code := range codes {
				f := relayFault{Fault: smtp.Fault{Stage: stage, Action: action, Code: code, For: 20 * time.Millisecond}}
				f.taken = stage == smtp.Farewell || action == smtp.Delay
				f.twice = stage == smtp.Dot && (action == smtp.Hang || action == smtp.Reset)
				all = append(all, f)
			}
		}
	}
	return all
}

// TestEmailFaults: a fault at any stage, and the next relay has the letter within
// the same attempt, also when the first one hangs. A letter that was taken is not
// sent again, whatever becomes of the connection.
func TestEmailFaults(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup // at once: those that hang take their time
	for _, f := range relayFaults() {
		first, broken := relayOn(t, smtp.Options{TLS: smtp.Explicit, Username: "wxnotify", Password: "p"})
		first.Misbehave(f.Fault)
		second, sound := relayOn(t, smtp.Options{TLS: smtp.Implicit})
		all.Go(func() {
			name := fmt.Sprintf("%s/%s/%d", f.Stage, f.Action, f.Code)
			took, err := within(t, 3*time.Second, mailTo(broken, sound))
			if err != nil || took > 5*time.Second {
				t.Errorf("%s: %v after %s", name, err, took)
			}
			if first.Struck() == 0 {
				t.Errorf("%s: the fault did not strike; this case shows nothing", name)
			}
			if n, m := len(first.Letters()), len(second.Letters()); (n == 1) != (f.taken || f.twice) || (m == 1) != !f.taken {
				t.Errorf("%s: the first relay took %d letters, the second %d", name, n, m)
			}
			if f.taken {
				return
			}
			took, err = within(t, time.Second, mailTo(broken))
			if err == nil || took > 4*time.Second {
				t.Errorf("%s, alone: %v after %s", name, err, took)
			} else if f.Action == smtp.Refuse && f.Stage != smtp.Middle && !strings.Contains(err.Error(), fmt.Sprint("answered ", f.Code)) {
				t.Errorf("%s: the error does not say so: %v", name, err)
			}
		})
	}
	all.Wait()
}

// within is one attempt.
func within(t *testing.T, d time.Duration, c pager.Channel) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	began := time.Now()
	err = c.Send(ctx, samples()["opened"])
	return time.Since(began), err
}

// TestEmailEndsInTime: the time is for all of the attempt, not for each thing in
// it; and a relay that says no goodbye keeps nobody waiting.
func TestEmailEndsInTime(t *testing.T) {
	t.Parallel()
	server, relay := relayOn(t, smtp.Options{TLS: smtp.Explicit})
	server.Misbehave(
		smtp.Fault{Stage: smtp.Hello, Action: smtp.Delay, For: 600 * time.Millisecond, Times: 1},
		smtp.Fault{Stage: smtp.Data, Action: smtp.Hang},
	)
	if took, err := within(t, time.Second, mailTo(relay)); err == nil || took > 1400*time.Millisecond {
		t.Errorf("%v after %s", err, took)
	}
	if server.Struck() != 2 {
		t.Errorf("%d faults struck; this test shows nothing", server.Struck())
	}
}

// TestEmailRecipients: one mailbox that is gone costs nobody else the page.
func TestEmailRecipients(t *testing.T) {
	t.Parallel()
	server, relay := relayOn(t, smtp.Options{})
	server.Misbehave(smtp.Fault{Stage: smtp.Recipient, Action: smtp.Refuse, Code: 550, Only: "left@example.com"})
	email := mailTo(relay)
	email.To = []string{"anna@example.com", "left@example.com", "wei@example.com"}
	refused := 0
	email.Refused = func(n int) { refused += n }
	if err := email.Send(soon(t, 5*time.Second), samples()["opened"]); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range server.Letters() {
		got = append(got, l.To...)
	}
	if !slices.Equal(got, []string{"anna@example.com", "wei@example.com"}) || refused != 1 {
		t.Errorf("taken for %q, %d refused", got, refused)
	}
	email.To = []string{"left@example.com"}
	if err := email.Send(soon(t, 5*time.Second), samples()["opened"]); err == nil {
		t.Error("nobody has it, and that is called success")
	}
}

// TestEmailGreylist: what is refused at first is taken at the next attempt.
func TestEmailGreylist(t *testing.T) {
	t.Parallel()
	server, relay := relayOn(t, smtp.Options{Greylist: time.Nanosecond})
	email := mailTo(relay)
	if err := email.Send(soon(t, 5*time.Second), samples()["opened"]); err == nil || !strings.Contains(err.Error(), "451") {
		t.Errorf("at first: %v", err)
	}
	if err := email.Send(soon(t, 5*time.Second), samples()["opened"]); err != nil || len(server.Letters()) != 1 {
		t.Errorf("then: %v", err)
	}
}

// TestEmailIsNeverSentInClear: what was asked for is kept to, and a password does
// not cross a connection that everybody reads.
func TestEmailIsNeverSentInClear(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server smtp.Options
		tls    pager.TLS
		trust  bool
		says   string
	}{
		"no STARTTLS there":         {smtp.Options{TLS: smtp.None}, pager.TLSStart, true, ""},
		"a way unheard of":          {smtp.Options{TLS: smtp.None}, "TLS1", true, ""},
		"login without TLS":         {smtp.Options{TLS: smtp.None, Username: "u", Password: "p"}, pager.TLSNone, true, "without TLS a password is not sent"},
		"not trusted, STARTTLS":     {smtp.Options{TLS: smtp.Explicit}, pager.TLSStart, false, "certificate is not trusted"},
		"not trusted, implicit":     {smtp.Options{TLS: smtp.Implicit}, pager.TLSImplicit, false, "certificate is not trusted"},
		"implicit where none is":    {smtp.Options{TLS: smtp.None}, pager.TLSImplicit, true, "no TLS there"},
		"a wrong password":          {smtp.Options{TLS: smtp.Explicit, Username: "u", Password: "other"}, pager.TLSStart, true, "login refused"},
		"a login that is not asked": {smtp.Options{TLS: smtp.Explicit}, pager.TLSStart, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, relay := relayOn(t, c.server)
			relay.TLS = c.tls
			if c.server.Username != "" || strings.HasPrefix(name, "a login") {
				relay.Username, relay.Password = "u", "p"
			}
			if !c.trust {
				relay.Config = nil
			}
			err := mailTo(relay).Send(soon(t, time.Second), samples()["opened"])
			if err == nil || len(server.Letters()) > 0 || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, %d letters taken", err, len(server.Letters()))
			}
		})
	}
}

// TestEmailSettings: what can never work says so without a connection.
func TestEmailSettings(t *testing.T) {
	t.Parallel()
	good := pager.Relay{Host: "127.0.0.1", Port: 1}
	for name, e := range map[string]pager.Email{
		"no relay":     {From: "a@example.com", To: []string{"b@example.com"}},
		"no sender":    {From: "nobody", To: []string{"b@example.com"}, Relays: []pager.Relay{good}},
		"no recipient": {From: "a@example.com", To: []string{"all of you"}, Relays: []pager.Relay{good}},
		"no host":      {From: "a@example.com", To: []string{"b@example.com"}, Relays: []pager.Relay{{Port: 25}}},
		"no port":      {From: "a@example.com", To: []string{"b@example.com"}, Relays: []pager.Relay{{Host: "127.0.0.1", Port: -1}}},
		"nobody there": {From: "a@example.com", To: []string{"b@example.com"}, Relays: []pager.Relay{good}},
	} {
		if err := e.Send(soon(t, time.Second), samples()["drill"]); err == nil || !strings.HasPrefix(err.Error(), "email: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, relay := relayOn(t, smtp.Options{})
	if err := mailTo(relay).Send(ctx, samples()["drill"]); err == nil || errors.Is(err, context.Canceled) && strings.Contains(err.Error(), "dial") {
		t.Errorf("cancelled: %v", err)
	}
}

// TestEmailOfHostileText: a subject stays one line and one header, and HTML text.
func TestEmailOfHostileText(t *testing.T) {
	t.Parallel()
	server, relay := relayOn(t, smtp.Options{})
	m := samples()["foreign"]
	m.Pages[0].IncidentKey = callback.IncidentKey{Rule: "Rule\r\nBcc: everybody@example.com\r\n\r\n<script>", Subject: `"><img src=x onerror=alert(1)>`, Class: "warning"}
	if err := mailTo(relay).Send(soon(t, 5*time.Second), m); err != nil {
		t.Fatal(err)
	}
	p := open(t, server.Letters()[0])
	if p.header.Get("Bcc") != "" || strings.ContainsAny(p.subject, "\r\n") || len(server.Letters()[0].To) != 1 {
		t.Errorf("headers %v", p.header)
	}
	for _, bad := range []string{"<script", "<img", "<a href=\"https://evil", "\u202e"} {
		if strings.Contains(p.html, bad) {
			t.Errorf("%q is in the page", bad)
		}
	}
}
