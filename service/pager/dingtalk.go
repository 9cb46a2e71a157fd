package pager

import (
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
	// mutes a robot for ten; DingTalkReserved of them wait for what is critical.
	DingTalkPerMinute = 15
	DingTalkReserved  = 5

	dingTalkMute  = 10 * time.Minute
	dingTalkBytes = 18000 // of 20000; the envelope needs some
)

// Send posts the message as markdown. Only errcode 0 means that it was taken:
// DingTalk answers 200 to everything.
func (d DingTalk) Send(ctx context.Context, m Message) error {
	t := d.Writer.text(m)
	body := t.markdown(dingTalkBytes)
	title := t.Title
	if d.Keyword != "" && !strings.Contains(title+body, d.Keyword) {
		body += "\n" + d.Keyword + "\n"
	}
	robot := robotMessage{MsgType: "markdown"}
	if m.Critical() && len(d.Mobiles) > 0 {
		robot.At.Mobiles = d.Mobiles
		body += "\n@" + strings.Join(d.Mobiles, " @") + "\n" // only who stands in the text is called
	}
	robot.Markdown.Title, robot.Markdown.Text = title, body
	payload, err := json.Marshal(robot)
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
		return "", errors.New("dingtalk: the robot's URL cannot be read")
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
		return fail("busy")
	case 130101, 410100:
		return &Muted{dingTalkMute, fail("more than 20 messages in a minute; the robot is mute for 10 minutes")}
	case 90030:
		return &Muted{dingTalkMute, fail("the organisation's quota is used up")}
	case 310000:
		return fail("the security check failed; look at secret (加签), keyword (关键词), addresses, and this host's clock")
	case 300001, 400101, 300005:
		return fail("no such robot; the access_token in the URL is wrong, or the robot was removed")
	case 400102:
		return fail("the robot is disabled")
	case 460101, 101002:
		return fail("the message is too long")
	case 400403:
		return fail("a field is missing")
	}
	return fail("refused")
}
