package wechat

import (
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Outcome is what came of one sending, judged as WeChat Pay judges it.
type Outcome struct {
	Acknowledged bool    `json:"acknowledged"`
	Status       int     `json:"status,omitempty"`  // HTTP status; 0 when there was no answer
	Failure      Failure `json:"failure,omitempty"` // why there was none
}

// String says what happened, such as "acknowledged 204" or "timed_out".
func (o Outcome) String() string {
	switch {
	case o.Status == 0:
		return string(o.Failure)
	case o.Acknowledged:
		return "acknowledged " + strconv.Itoa(o.Status)
	}
	return "refused " + strconv.Itoa(o.Status)
}

// Answer is an outcome and the time it took, from the first byte sent until the
// answer was read.
type Answer struct {
	Outcome
	Elapsed time.Duration `json:"elapsed_ns"`
}

// Failure is why a sending got no answer.
type Failure string

// The failures.
const (
	NotConnected Failure = "not_connected" // connection refused, no route, no name
	TimedOut     Failure = "timed_out"     // longer than the answer limit
	Broken       Failure = "broken"        // the connection ended in between
	Unread       Failure = "unread"        // we hung up on purpose; see LostAnswer
	Abandoned    Failure = "abandoned"     // the run ended before the answer came
)

// judgeV3 goes by the status alone: 200 and 204 are success, and a 200 with a
// FAIL body is one too. Redirects are not followed.
//
// Source: https://pay.weixin.qq.com/doc/v3/merchant/4012791836
func judgeV3(status int) bool {
	return status == http.StatusOK || status == http.StatusNoContent
}

// judgeV2 goes by the body: an xml root with return_code SUCCESS and nothing
// around it. A byte order mark, a plain "success" or JSON count as not received.
//
// Source: https://pay.weixin.qq.com/doc/v2/partner/4011984734
func judgeV2(status int, body string) bool {
	body = strings.TrimRight(body, " \t\r\n")
	if status != http.StatusOK || !strings.HasPrefix(body, "<xml>") || !strings.HasSuffix(body, "</xml>") {
		return false
	}
	var reply struct {
		XMLName xml.Name `xml:"xml"`
		Code    string   `xml:"return_code"`
	}
	return xml.Unmarshal([]byte(body), &reply) == nil && reply.Code == "SUCCESS"
}
