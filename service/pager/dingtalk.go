package pager

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// DingTalk is a custom robot in a group (钉钉自定义机器人).
//
// Source: https://open.dingtalk.com/document/orgapp/custom-robot-access
type DingTalk struct {
	// URL is the robot's webhook with its access_token. It is a secret.
	URL string
	// Secret signs each message (加签); empty: the robot is in keyword mode.
	Secret string
	// Keyword is put into each message that does not have it (自定义关键词).
	Keyword string
	// Mobiles are called by name when a message is critical.
	Mobiles []string
	Writer  Writer
	// Client sends; nil: one without redirects.
	Client *http.Client
}

const (
	// DingTalkPerMinute stays clear of the 20 messages a minute at which DingTalk
	// mutes a robot for ten.
	DingTalkPerMinute = 15
	// DingTalkReserved of them wait for what is critical.
	DingTalkReserved = 5

	dingTalkMute  = 10 * time.Minute
	dingTalkBytes = 20000 // of a whole body
)

// Send posts the message as markdown. Only errcode 0 means that it was taken:
// DingTalk answers 200 to everything.
func (d DingTalk) Send(ctx context.Context, m Message) error {
	payload, err := d.payload(m)
	if err != nil {
		return fmt.Errorf("dingtalk: %w", err)
	}
	to, err := d.signed(time.Now())
	if err != nil {
		return err
	}
	answer, err := postJSON(ctx, d.Client, to, payload, nil)
	if err != nil {
		return fmt.Errorf("dingtalk: %w", err)
	}
	var verdict struct {
		Code *int `json:"errcode"`
	}
	if err := json.Unmarshal(answer, &verdict); err != nil || verdict.Code == nil {
		return errors.New("dingtalk: the answer has no errcode; is the URL a robot's?")
	}
	return robotError(*verdict.Code)
}

// payload is the message as the robot takes it, within what it takes: how long
// JSON makes a text is known only afterwards.
func (d DingTalk) payload(m Message) ([]byte, error) {
	t := d.Writer.text(m)
	robot := robotMessage{MsgType: "markdown"}
	robot.Markdown.Title = t.Title
	end := ""
	if m.alarming() && len(d.Mobiles) > 0 {
		robot.At.Mobiles = d.Mobiles
		end += "\n@" + strings.Join(d.Mobiles, " @") + "\n" // only who stands in the text is called
	}
	if !strings.Contains(escapeMarkdown(t.Title), d.Keyword) {
		end += "\n" + d.Keyword + "\n" // as it was set up, letter by letter
	}
	for limit := dingTalkBytes; ; {
		robot.Markdown.Text = t.markdown(limit-len(end)) + end
		var b bytes.Buffer
		out := json.NewEncoder(&b)
		out.SetEscapeHTML(false) // six bytes for each & of a link
		if err := out.Encode(robot); err != nil {
			return nil, err
		}
		over := b.Len() - dingTalkBytes
		if over <= 0 || limit <= over {
			return b.Bytes(), nil
		}
		limit -= over
	}
}

type robotMessage struct {
	MsgType  string `json:"msgtype"`
	Markdown struct {
		Title string `json:"title"`
		Text  string `json:"text"`
	} `json:"markdown"`
	At struct {
		Mobiles []string `json:"atMobiles,omitempty"`
	} `json:"at"`
}

// signed is the address for one attempt: the signature holds the time.
func (d DingTalk) signed(now time.Time) (string, error) {
	to, err := url.Parse(d.URL)
	if err != nil {
		return "", errors.New("dingtalk: the robot's address (url) cannot be read")
	}
	if d.Secret == "" {
		return to.String(), nil
	}
	stamp := strconv.FormatInt(now.UnixMilli(), 10)
	mac := hmac.New(sha256.New, []byte(d.Secret))
	mac.Write([]byte(stamp + "\n" + d.Secret))
	query := to.Query()
	query.Set("timestamp", stamp)
	query.Set("sign", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	to.RawQuery = query.Encode()
	return to.String(), nil
}

// robotError says what an errcode means, and what to do.
func robotError(code int) error {
	fail := func(what string) error { return fmt.Errorf("dingtalk: errcode %d: %s", code, what) }
	switch code {
	case 0:
		return nil
	case -1:
		return fail("busy; it will be tried again")
	case 130101, 410100:
		return &Muted{dingTalkMute, fail("more than 20 messages in a minute; the robot is mute for 10 minutes")}
	case 90030:
		return &Muted{dingTalkMute, fail("the organisation's quota is used up; look at its plan in the admin console (管理后台)")}
	case 310000:
		return fail("the security check failed; look at secret (加签), keyword (自定义关键词), addresses (IP地址段), and this host's clock")
	case 300001, 400101, 300005:
		return fail("no such robot; the access_token in the address (url) is wrong, or the robot was removed from the group")
	case 400102:
		return fail("the robot is disabled; enable it in the group's settings")
	case 460101, 101002:
		return fail("the message is too long; please report this")
	case 400403, 40035, 43002, 43004:
		return fail("not understood; is the address (url) a custom robot's (自定义机器人)?")
	}
	return fail("refused; see DingTalk's list of error codes")
}
