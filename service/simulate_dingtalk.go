package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"wxnotify/service/simulator/dingtalk"
)

type simulateDingTalk struct {
	Listen   string   `default:"127.0.0.1:8082" help:"Address on this host: the robot, and the page that shows what it took."`
	Token    string   `help:"The robot's access_token. Without it a fresh one is made."`
	Secret   string   `help:"The robot's secret (加签); without it signatures are not looked at."`
	Keywords []string `name:"keyword" help:"A keyword (自定义关键词) that must stand in each message; can be given several times."`
	Speed    float64  `default:"1" help:"The robot's clock: with 60, ten minutes of silence are ten seconds."`
}

// Run is a DingTalk robot until it is told to stop, and then prints what came.
func (s simulateDingTalk) Run(ctx context.Context, t terminal) error {
	if s.Speed <= 0 {
		return usageError{problem{"--speed", fmt.Sprint(s.Speed, " makes no clock"), "use a number above 0"}}
	}
	if s.Token == "" {
		s.Token = strings.ToLower(rand.Text())
	}
	robot := dingtalk.New(dingtalk.Options{Token: s.Token, Secret: s.Secret, Keywords: s.Keywords, Speed: s.Speed})
	server, err := dingtalk.Listen(ctx, s.Listen, robot, false)
	if err != nil {
		return usageError{problem{"--listen", strings.TrimPrefix(err.Error(), "dingtalk: "), "use a free port of 127.0.0.1"}}
	}
	fmt.Fprintf(t.out, `Simulated DingTalk robot (钉钉自定义机器人). Its address, as an operator copies it:

  %s

Look at %s for the messages. To let it misbehave:

  curl -d '{"fault":"errcode","code":310000,"times":3}' %sfaults

Ctrl-C ends it.
`, server.URL, server.Page, server.Page)
	select {
	case <-ctx.Done():
		err = nil
	case err = <-server.Failed():
	}
	_ = server.Close() // nobody is there any more whom that could tell something
	r := robot.Report()
	fmt.Fprintf(t.out, "%d requests, %d messages taken, mute %d times\n", r.Requests, r.Taken, r.Mutes)
	return err
}
