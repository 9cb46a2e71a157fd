package pager_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/pager"
	"wxnotify/service/simulator/smtp"
)

var languages = []pager.Language{pager.English, pager.Chinese}

// TestText keeps every message as people get it, in both languages: read these
// files, they are what a person has at three in the morning.
func TestText(t *testing.T) {
	t.Parallel()
	for name, m := range samples() {
		for _, l := range languages {
			t.Run(name+"/"+string(l), func(t *testing.T) {
				t.Parallel()
				robot, channel := near(l)
				server, relay := relayOn(t, smtp.Options{})
				email := mailTo(relay)
				email.Writer = writer(l)
				for _, c := range []pager.Channel{channel, email} {
					if err := c.Send(soon(t, 10*time.Second), m); err != nil {
						t.Fatal(err)
					}
				}
				chat, letter := robot.Messages()[0], open(t, server.Letters()[0])
				if chat.Title != letter.subject {
					t.Errorf("title %q, subject %q", chat.Title, letter.subject)
				}
				golden(t, "messages/"+name+"."+string(l)+".md", chat.Title+"\n\n"+chat.Text)
				golden(t, "messages/"+name+"."+string(l)+".txt", letter.subject+"\n\n"+letter.plain)
				if name == "opened" || name == "over" {
					golden(t, "messages/"+name+"."+string(l)+".html", letter.html)
				}
			})
		}
	}
}

// TestEveryPageSaysWhatToDo: a reason without advice leaves its reader alone.
func TestEveryPageSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for _, reason := range callback.Reasons() {
		for _, class := range reason.Classes() {
			if !class.Pages() {
				continue
			}
			for l, do := range map[pager.Language]string{pager.English: "- **Do**: ", pager.Chinese: "- **处置**："} {
				robot, channel := near(l)
				if err := channel.Send(t.Context(), pager.Message{Pages: []pager.Page{failed(class, reason, 1)}, Written: night}); err != nil {
					t.Fatal(err)
				}
				text := robot.Messages()[0].Text
				_, after, found := strings.Cut(text, do)
				if advice, _, _ := strings.Cut(after, "\n"); !found || len(advice) < 20 {
					t.Errorf("%s %s in %s: no advice in\n%s", class, reason, l, text)
				}
				if !strings.Contains(text, "Callback"+"Failed"+map[pager.Language]string{pager.Chinese: ".zh-CN"}[l]+".html#"+string(reason)) {
					t.Errorf("%s %s in %s: no way to the runbook's section", class, reason, l)
				}
			}
		}
	}
}

// TestOwnWordsStayAsTheyAre: what keeps foreign text from acting must not change
// a command that is to be typed.
func TestOwnWordsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for name, m := range samples() {
		if name == "foreign" {
			continue
		}
		for _, l := range languages {
			robot, channel := near(l)
			channel.Mobiles = nil
			if err := channel.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if changed := regexp.MustCompile("[＜＞＆＠．]|：//").FindString(robot.Messages()[0].Text); changed != "" {
				t.Errorf("%s in %s holds %q:\n%s", name, l, changed, robot.Messages()[0].Text)
			}
		}
	}
}

// TestChineseIsChinese: what is translated is translated whole.
func TestChineseIsChinese(t *testing.T) {
	t.Parallel()
	// Names, commands and codes stay; sentences do not.
	words := regexp.MustCompile(`(?i)\b(the|is|are|not|failed|again|callbacks?|merchant|orders|nothing|has|was)\b`)
	for name, m := range samples() {
		if name == "foreign" {
			continue
		}
		robot, channel := near(pager.Chinese)
		if err := channel.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(robot.Messages()[0].Text, `\`, "")
		text = regexp.MustCompile(`\]\([^)]*\)`).ReplaceAllString(text, "]")
		if english := words.FindAllString(text, -1); len(english) > 0 {
			t.Errorf("%s: %q in\n%s", name, english, text)
		}
	}
}

// TestNobodyIsCalledForNothing: mobiles ring for what is critical and goes on.
func TestNobodyIsCalledForNothing(t *testing.T) {
	t.Parallel()
	called := map[string]bool{
		"opened": true, "opened-one": true, "opened-own": true, "opened-dark": true, "quarantined": true, "again": true,
		"outstanding": true, "outstanding-none-left": true, "order-conflict": true, "digest": true,
	}
	for name, m := range samples() {
		robot, channel := near(pager.English)
		if err := channel.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		var want []string
		if called[name] {
			want = channel.Mobiles
		}
		if got := robot.Messages()[0].Called; !slices.Equal(got, want) {
			t.Errorf("%s calls %q, want %q", name, got, want)
		}
	}
}

// capture keeps what is posted.
type capture struct {
	header http.Header
	body   []byte
}

func (c *capture) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.header = r.Header.Clone()
	c.body, _ = io.ReadAll(r.Body)
	w.WriteHeader(http.StatusNoContent)
}

// TestWebhookText keeps the JSON that other people's programs read.
func TestWebhookText(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"opened", "foreign", "drill"} {
		got := &capture{}
		h := pager.Webhook{URL: "https://sms.example/in", Writer: writer(pager.English), Client: &http.Client{Transport: inProcess{got}}}
		if err := h.Send(t.Context(), samples()[name]); err != nil {
			t.Fatal(err)
		}
		var message map[string]any
		if err := json.Unmarshal(got.body, &message); err != nil {
			t.Fatal(err)
		}
		pretty, err := json.MarshalIndent(message, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "messages/"+name+".json", string(pretty)+"\n")
	}
}
