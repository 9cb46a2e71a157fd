package dingtalk

import (
	"encoding/json"
	"net/http"
)

// The codes that a robot answers with, always with HTTP status 200. The first
// group is documented for custom robots, the second is DingTalk's common ones.
const (
	CodeOK             = 0
	CodeBusy           = -1
	CodeSecurity       = 310000 // signature, timestamp, keyword or address
	CodeTooFast        = 130101 // more than 20 in a minute
	CodeTooFastNow     = 410100 // the same, of newer robots
	CodeQuota          = 90030  // of the organisation
	CodeNoToken        = 300001
	CodeUnknownRobot   = 300005
	CodeUnknownToken   = 400101
	CodeRobotDisabled  = 400102
	CodeMissing        = 400403
	CodeBodyTooLarge   = 460101
	CodeMessageTooLong = 101002

	CodeBadJSON     = 40035
	CodeNotPost     = 43002
	CodeContentType = 43004
)

// words are what DingTalk writes beside a code.
var words = map[int]string{
	CodeOK:             "ok",
	CodeBusy:           "系统繁忙",
	CodeSecurity:       "description:机器人发送签名不匹配;solution:请确认签名和生成签名的时间戳必须都放在调用的网址中，请确认机器人的密钥加密和填写正确",
	CodeTooFast:        "description:发送速度太快而限流;solution:请降低发送速度",
	CodeTooFastNow:     "send too fast, exceed 20 times per minute",
	CodeQuota:          "webhook over limit",
	CodeNoToken:        "token is not exist",
	CodeUnknownRobot:   "token is not exist",
	CodeUnknownToken:   "access_token 不存在",
	CodeRobotDisabled:  "机器人已停用",
	CodeMissing:        "缺少必填参数",
	CodeBodyTooLarge:   "消息内容过长",
	CodeMessageTooLong: "消息长度过长",
	CodeBadJSON:        "缺少参数 json",
	CodeNotPost:        "需要POST请求",
	CodeContentType:    "无效的HTTP HEADER Content-Type",
}

// Codes lists every code that a robot can be told to answer with, but success.
func Codes() []int {
	return []int{
		CodeBusy, CodeSecurity, CodeTooFast, CodeTooFastNow, CodeQuota, CodeNoToken, CodeUnknownRobot, CodeUnknownToken,
		CodeRobotDisabled, CodeMissing, CodeBodyTooLarge, CodeMessageTooLong, CodeBadJSON, CodeNotPost, CodeContentType,
	}
}

// answer is HTTP 200, whatever the verdict.
func answer(w http.ResponseWriter, code int, detail string) {
	if detail == "" {
		detail = words[code]
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"errcode": code, "errmsg": detail}) // the sender has gone
}
