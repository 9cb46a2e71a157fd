package callback

import "time"

// retryGaps are the pauses between WeChat Pay's sendings of one notification:
// 15 of them, 24 h 4 min in all.
//
// Source: https://pay.weixin.qq.com/doc/v3/merchant/4012791836
var retryGaps = []time.Duration{
	15 * time.Second, 15 * time.Second, 30 * time.Second,
	3 * time.Minute, 10 * time.Minute, 20 * time.Minute,
	30 * time.Minute, 30 * time.Minute, 30 * time.Minute, 60 * time.Minute,
	3 * time.Hour, 3 * time.Hour, 3 * time.Hour, 6 * time.Hour, 6 * time.Hour,
}

// NextArrival says when WeChat Pay is expected to send a notification again
// that first arrived at first and has not been acknowledged, and how many
// sendings are left after now. With none left, the time is zero: the order must
// be queried.
func NextArrival(first, now time.Time) (next time.Time, left int) {
	at := first
	for i, gap := range retryGaps {
		if at = at.Add(gap); at.After(now) {
			return at, len(retryGaps) - i
		}
	}
	return time.Time{}, 0
}
