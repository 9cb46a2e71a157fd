package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Clock limits: WeChat Pay's window is 5 minutes, an HTTP date has whole seconds.
const (
	clockWarn = 5 * time.Second
	clockFail = 2 * time.Minute
)

// clock compares this host's time with a server's Date header. A clock that is
// 5 minutes off refuses every callback.
func (d *doctor) clock(ctx context.Context, address string) {
	if u, err := url.Parse(address); err != nil || u.Host == "" {
		d.fail("--clock is no URL", "write it like https://api.mch.weixin.qq.com")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		d.fail("--clock is no URL", "write it like https://api.mch.weixin.qq.com")
		return
	}
	sent := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		d.warn("the clock could not be compared: no answer from the address", "check this host's NTP by hand")
		return
	}
	_ = response.Body.Close()
	theirs, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		d.warn("the clock could not be compared: the answer has no date", "check this host's NTP by hand")
		return
	}
	ours := sent.Add(time.Since(sent) / 2)
	switch off := ours.Sub(theirs).Abs(); {
	case off > clockFail:
		d.fail(fmt.Sprintf("this host's clock is %s off", off.Round(time.Second)), "start NTP: at 5 minutes every callback is refused")
	case off > clockWarn:
		d.warn(fmt.Sprintf("this host's clock is %s off", off.Round(time.Second)), "check NTP")
	default:
		d.ok("this host's clock is right within %s", clockWarn)
	}
}
