package wechat

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"time"
)

// AnswerLimit is how long WeChat Pay waits for an answer.
//
// Source: https://pay.weixin.qq.com/doc/v3/merchant/4012075420
const AnswerLimit = 5 * time.Second

// line is a way to the merchant: connections of its own, kept alive.
type line struct {
	transport http.RoundTripper
	limit     time.Duration // for one answer
	drip      time.Duration // how long a slow body takes
}

// newLine makes a line for up to senders concurrent sendings, which speaks
// HTTP/1.1 and does not ask for compression, as captured callbacks do.
func newLine(senders int) line {
	return line{limit: AnswerLimit, drip: time.Second, transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: AnswerLimit}).DialContext,
		TLSHandshakeTimeout: AnswerLimit,
		MaxIdleConnsPerHost: senders,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}}
}

// close ends the connections that are kept alive.
func (l line) close() {
	if t, ok := l.transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// post makes one sending and judges the answer.
func (l line) post(ctx context.Context, s Sending, f Fault, v2 bool) Answer {
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, l.limit)
	defer cancel()
	if f == LostAnswer {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			// Cancelling closes the connection: when the answer begins, or soon after
			// the request. Not at once: it may still be in net/http's own buffer, and
			// would be lost instead of the answer.
			GotFirstResponseByte: cancel,
			WroteRequest: func(wrote httptrace.WroteRequestInfo) {
				if wrote.Err == nil {
					time.AfterFunc(hangUpAfter, cancel)
				}
			},
		})
	}
	start := time.Now()
	answered := func(o Outcome) Answer { return Answer{o, time.Since(start)} }
	failed := func(err error) Answer { return answered(Outcome{Failure: failure(parent, ctx, err)}) }
	var body io.Reader = bytes.NewReader(s.Body)
	if f == SlowBody {
		body = &drip{ctx: ctx, rest: s.Body, pause: l.drip / dripParts, part: len(s.Body)/dripParts + 1}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, body)
	if err != nil {
		return answered(Outcome{Failure: NotConnected})
	}
	req.Header, req.ContentLength = s.Header, int64(len(s.Body))
	res, err := l.transport.RoundTrip(req)
	if err != nil {
		return failed(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	switch {
	case f == LostAnswer:
		return answered(Outcome{Failure: Unread})
	case err != nil:
		return failed(err)
	case v2:
		return answered(Outcome{Status: res.StatusCode, Acknowledged: judgeV2(res.StatusCode, string(text))})
	}
	return answered(Outcome{Status: res.StatusCode, Acknowledged: judgeV3(res.StatusCode)})
}

// failure says why there was no answer; ctx is parent with the answer limit, and
// ended early for an answer that is to be lost.
func failure(parent, ctx context.Context, err error) Failure {
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		return NotConnected
	case parent.Err() != nil:
		return Abandoned
	case errors.Is(ctx.Err(), context.Canceled):
		return Unread
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return TimedOut
	}
	return Broken
}

// hangUpAfter is how long after the request a lost answer is given up.
const hangUpAfter = 50 * time.Millisecond

// dripParts is the number of pieces of a slow body.
const dripParts = 8

// drip is a body that comes in pieces, with a pause before each.
type drip struct {
	ctx   context.Context // of the sending: a reader has no other way to know it
	rest  []byte
	part  int
	pause time.Duration
}

func (d *drip) Read(p []byte) (int, error) {
	if len(d.rest) == 0 {
		return 0, io.EOF
	}
	if !await(d.ctx, nil, time.Now().Add(d.pause)) {
		return 0, d.ctx.Err()
	}
	n := copy(p, d.rest[:min(d.part, len(d.rest))])
	d.rest = d.rest[n:]
	return n, nil
}
