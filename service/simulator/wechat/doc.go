// Package wechat is a stand-in for WeChat Pay (微信支付) as a merchant's
// notify_url sees it: it makes keys and messages, signs and encrypts them,
// sends them again on the official schedule, misbehaves on command, and keeps a
// ledger of what it sent and what it was answered.
//
// [Platform] sends single messages and mixes of them, [Load] measures, [Outage]
// plays a long outage in virtual time.
//
// It is a reading of the protocol of its own: it shares no code with the
// service, so that a misread protocol cannot verify itself. It judges an answer
// only as WeChat Pay would and knows nothing of how the service works inside.
package wechat
