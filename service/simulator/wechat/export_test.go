package wechat

import "time"

// What the tests look at from outside.
var (
	SealV3     = sealV3
	EncryptECB = encryptECB
	JudgeV2    = judgeV2
	JudgeV3    = judgeV3
)

// SignV2 signs name, value pairs.
func SignV2(key string, hmacSHA256 bool, pairs ...string) string {
	var params []param
	for i := 0; i < len(pairs); i += 2 {
		params = append(params, param{pairs[i], pairs[i+1]})
	}
	return signV2(key, hmacSHA256, params)
}

// Quantile is the histogram's answer for a set of durations.
func Quantile(q float64, durations []time.Duration) time.Duration {
	var l latencies
	for _, d := range durations {
		l.add(d)
	}
	return l.quantile(q)
}
