package pager_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/pager"
	"wxnotify/service/simulator/dingtalk"
	"wxnotify/service/simulator/smtp"
)

// What nobody may ever read.
const (
	secretToken    = "s3cret-token-AAAA"
	secretSign     = "SECs3cret-sign-BBBB"
	secretPath     = "s3cret-path-CCCC"
	secretHook     = "s3cret-hook-DDDD"
	secretPassword = "s3cret-password-EEEE"
	secretUserinfo = "s3cret-userinfo-FFFF"
	secretLocation = "s3cret-location-GGGG"
)

// leaked is the first secret in s, in any form in which it could travel.
func leaked(s string) string {
	for _, secret := range []string{secretToken, secretSign, secretPath, secretHook, secretPassword, secretUserinfo, secretLocation} {
		for _, form := range []string{
			secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)),
			base64.StdEncoding.EncodeToString([]byte("\x00robot\x00" + secret)), strings.ToUpper(secret),
		} {
			if strings.Contains(s, form) {
				return secret
			}
		}
	}
	return ""
}

// awkward are addresses at which something goes wrong, each in its own way.
func awkward(t *testing.T) map[string]string {
	t.Helper()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		status := http.StatusTeapot
		if strings.HasSuffix(r.URL.Path, "200") {
			status = http.StatusOK
		}
		w.Header().Set("Location", "http://elsewhere.example/"+secretLocation)
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"errcode":310000,"errmsg":"%s %s %v"}`, r.URL, body, r.Header)
	})
	plain, secure := serveHTTP(t, echo, false), serveHTTP(t, echo, true)
	redirect := func(to string) string {
		return serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", strings.ReplaceAll(to, "QUERY", r.URL.RawQuery))
			w.WriteHeader(http.StatusTemporaryRedirect)
		}), false)
	}
	return map[string]string{
		"an echo":               "http://" + plain + "/",
		"an echo with 200":      "http://" + plain + "/200",
		"not trusted":           "https://" + secure + "/",
		"TLS where none is":     "https://" + plain + "/",
		"none where TLS is":     "http://" + secure + "/",
		"redirect":              "http://" + redirect("http://"+plain+"/?QUERY") + "/",
		"redirect to nowhere":   "http://" + redirect("http://[::bad/"+secretLocation+"?QUERY") + "/",
		"redirect, other words": "http://" + redirect("gopher://"+secretLocation+"/?QUERY") + "/",
		"refused":               "http://" + nobody(t) + "/",
		"no such name":          "http://" + secretPath + ".invalid/",
		"no name":               "http:///",
		"other words":           "gopher://127.0.0.1/",
		"no address":            "http://[::1",
		"control characters":    "http://127.0.0.1/\x7f",
		"a port that is none":   "http://127.0.0.1:" + secretPath + "/",
		"with a password":       "http://user:" + secretUserinfo + "@" + plain + "/",
		"not HTTP":              "http://" + garbage(t, "220 "+secretLocation+" hello\r\n\r\n") + "/",
		"HTTP, nearly":          "http://" + garbage(t, "HTTP/1.1 2OO "+secretLocation+"\r\n\r\n") + "/",
		"a broken header":       "http://" + garbage(t, "HTTP/1.1 200 OK\r\n"+secretLocation+"\r\n\r\n") + "/",
		"a broken length":       "http://" + garbage(t, "HTTP/1.1 200 OK\r\nContent-Length: "+secretLocation+"\r\n\r\n") + "/",
		"half an answer":        "http://" + garbage(t, "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{\"errcode\":") + "/",
	}
}

// TestChannelsLeakNothing: no secret in an error, a log or a message, on every
// channel, whatever goes wrong.
func TestChannelsLeakNothing(t *testing.T) {
	t.Parallel()
	channels := map[string]pager.Channel{}
	for name, address := range awkward(t) {
		glue := "?"
		if strings.Contains(name, "no address") {
			glue = "/?"
		}
		for _, client := range []*http.Client{nil, {}} {
			kind := map[bool]string{true: "default", false: "own"}[client == nil]
			channels["dingtalk, "+kind+" client: "+name] = pager.DingTalk{URL: address + glue + "access_token=" + secretToken, Secret: secretSign, Client: client, Writer: writer(pager.English)}
			channels["webhook, "+kind+" client: "+name] = pager.Webhook{URL: address + secretPath + glue + "key=" + secretToken, Secret: secretHook, Client: client, Writer: writer(pager.English)}
		}
	}
	for _, f := range relayFaults() {
		if f.taken || f.Action == smtp.Hang {
			continue
		}
		server, relay := relayOn(t, smtp.Options{TLS: smtp.Explicit, Username: "robot", Password: secretPassword})
		f.Echo = true
		server.Misbehave(f.Fault)
		channels[fmt.Sprintf("email: %s %s %d", f.Stage, f.Action, f.Code)] = mailTo(relay)
	}
	for name, config := range map[string]*tls.Config{"not trusted": nil} {
		_, relay := relayOn(t, smtp.Options{TLS: smtp.Implicit, Username: "robot", Password: secretPassword})
		relay.Config = config
		channels["email: "+name] = mailTo(relay)
	}
	relay := pager.Relay{Host: "127.0.0.1", Username: "robot", Password: secretPassword}
	if said := fmt.Sprintf("%v %+v %#v %s", relay, relay, &relay, relay); leaked(said) != "" {
		t.Errorf("a relay prints %s", said)
	}
	for name, c := range channels {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.Send(soon(t, 3*time.Second), samples()["opened"])
			if err == nil && !strings.Contains(name, "webhook") {
				t.Fatal("it was taken; this case shows nothing")
			}
			var log bytes.Buffer
			logger := slog.New(slog.NewJSONHandler(&log, nil))
			logger.Error("page", "error", err, "channel", c)
			slog.New(slog.NewTextHandler(&log, nil)).Error("page", "error", err, "channel", c)
			marshalled, _ := json.Marshal(c)
			for _, said := range []string{
				fmt.Sprint(err), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err), log.String(),
				fmt.Sprintf("%v %+v %#v %s %d", c, c, c, c, c), string(marshalled),
			} {
				if secret := leaked(said); secret != "" {
					t.Errorf("%s leaked: %s", secret, said)
				}
			}
			for e := err; e != nil; {
				if _, ok := e.(*url.Error); ok { //nolint:errorlint // every link of the chain by itself
					t.Error("an error that holds the address is in the chain")
				}
				unwrapped, ok := e.(interface{ Unwrap() error })
				if !ok {
					break
				}
				e = unwrapped.Unwrap()
			}
		})
	}
}

// TestMessagesHoldNoSecret: what is sent holds no secret but where the other side
// must find it.
func TestMessagesHoldNoSecret(t *testing.T) {
	t.Parallel()
	robot := dingtalk.New(dingtalk.Options{Token: secretToken, Secret: secretSign})
	server, relay := relayOn(t, smtp.Options{TLS: smtp.Explicit, Username: "robot", Password: secretPassword})
	hook := &capture{}
	for _, m := range samples() {
		for _, c := range []pager.Channel{
			pager.DingTalk{URL: "https://robot.example/robot/send?access_token=" + secretToken, Secret: secretSign, Client: &http.Client{Transport: inProcess{robot.Handler()}}},
			pager.Webhook{URL: "https://hook.example/" + secretPath, Secret: secretHook, Client: &http.Client{Transport: inProcess{hook}}},
			mailTo(relay),
		} {
			if err := c.Send(soon(t, 5*time.Second), m); err != nil {
				t.Fatal(err)
			}
			if secret := leaked(string(hook.body) + fmt.Sprint(hook.header)); secret != "" {
				t.Errorf("the webhook got %s", secret)
			}
		}
	}
	for _, m := range robot.Messages() {
		if secret := leaked(m.Title + m.Text); secret != "" {
			t.Errorf("the group reads %s", secret)
		}
	}
	for _, l := range server.Letters() {
		if secret := leaked(string(l.Data)); secret != "" {
			t.Errorf("the letter holds %s", secret)
		}
	}
}

// TestTroubleLeaksNothing: what the pager says of channels that fail, either.
func TestTroubleLeaksNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		robot, channel := near(pager.English)
		robot.Misbehave(dingtalk.Trouble{Fault: dingtalk.Echo})
		l := newLedger()
		p := &process{ledger: l}
		said := ""
		pages := pager.New(pager.Options{
			Book: p, Failures: p, Duty: p, Holder: "one", Evaluate: true,
			Troubled: func(err error) { said += fmt.Sprintf("%+v", err) },
			Routes:   []pager.Route{{Name: "robot", Channel: channel}},
		})
		l.fail("shop", callback.Proven, callback.ReasonConflict)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		pages.Run(ctx)
		if strings.Contains(said, robotToken) || strings.Contains(said, robotSecret) || !strings.Contains(said, "errcode 310000") {
			t.Errorf("said: %s", said)
		}
	})
}

// serveHTTP serves on the loopback and returns the address.
func serveHTTP(t *testing.T, h http.Handler, secure bool) string {
	t.Helper()
	l := listener(t)
	if secure {
		robot, err := dingtalk.Listen(t.Context(), "127.0.0.1:0", dingtalk.New(dingtalk.Options{}), true)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = robot.Close() })
		return strings.TrimSuffix(strings.TrimPrefix(robot.Page, "https://"), "/")
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
	go server.Serve(l) //nolint:errcheck // ends with the test
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String()
}

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// nobody is an address where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l := listener(t)
	_ = l.Close()
	return l.Addr().String()
}

// garbage answers every request with the same bytes and hangs up.
func garbage(t *testing.T, answer string) string {
	t.Helper()
	l := listener(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close() //nolint:errcheck // nothing to lose
				if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = io.WriteString(conn, answer)
				}
			}()
		}
	}()
	return l.Addr().String()
}
