// Package dingtalk is a stand-in for DingTalk's custom robot (钉钉自定义机器人)
// as a sender sees it: it checks token, signature, keyword, size and shape,
// goes mute for ten minutes when it gets more than 20 messages in one, answers
// HTTP 200 to everything, misbehaves on command, and shows what it took as a
// telephone would.
//
// It is a reading of the documentation of its own and shares no code with the
// service, so that a misread protocol cannot verify itself.
//
// Source: https://open.dingtalk.com/document/orgapp/custom-robot-access
package dingtalk
