package wechat

import "time"

// schedule holds the pauses before each further sending of a message that was
// not acknowledged. There are 15 of them, 24 h 4 min in all; the text's "at
// most 15 sends" leaves open whether the first one counts, and here it does not.
//
// Source: https://pay.weixin.qq.com/doc/v3/merchant/4012791836 (v3),
// https://pay.weixin.qq.com/doc/v2/merchant/4011937248 (v2, the same)
var schedule = [...]time.Duration{
	15 * time.Second, 15 * time.Second, 30 * time.Second,
	3 * time.Minute, 10 * time.Minute, 20 * time.Minute,
	30 * time.Minute, 30 * time.Minute, 30 * time.Minute, 60 * time.Minute,
	3 * time.Hour, 3 * time.Hour, 3 * time.Hour, 6 * time.Hour, 6 * time.Hour,
}

// Schedule is a copy of the official retry schedule.
func Schedule() []time.Duration { return append([]time.Duration(nil), schedule[:]...) }
