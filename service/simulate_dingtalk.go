package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"wxnotify/service/simulator/dingtalk"
)

type simulateDingTalk struct {
	Listen   string   `default:"127.0.0.1:8082" help:"Address on this host: the robot, and the page that shows what it took."`
	Anywhere bool     `help:"Let it be another address than this host's own: in a container."`
	Keys     string   `placeholder:"DIR" type:"path" help:"The account whose pages it takes, made by 'simulate keys --dingtalk'; instead of --token and --secret."`
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
	if s.Keys != "" {
		if err := s.readKeys(); err != nil {
			return err
		}
	}
	if s.Token == "" {
		s.Token = strings.ToLower(rand.Text())
	}
	robot := dingtalk.New(dingtalk.Options{
		Token: s.Token, Secret: s.Secret, Keywords: s.Keywords, Speed: s.Speed, Out: t.out, Anywhere: s.Anywhere,
	})
	server, err := dingtalk.Listen(ctx, s.Listen, robot, false)
	if err != nil {
		return usageError{problem{"--listen", strings.TrimPrefix(err.Error(), "dingtalk: "), "use a free port of 127.0.0.1"}}
	}
	address := server.URL
	if s.Keys != "" {
		address = "the one in " + filepath.Join(s.Keys, dingTalkURL)
	}
	fmt.Fprintf(t.out, `Simulated DingTalk robot (钉钉自定义机器人). Its address, as an operator copies it:

  %s

Look at %s for the messages. To let it misbehave:

  curl -d '{"fault":"errcode","code":310000,"times":3}' %sfaults

Ctrl-C ends it.

`, address, server.Page, server.Page)
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

// readKeys takes token and secret from an account.
func (s *simulateDingTalk) readKeys() error {
	address, err := os.ReadFile(filepath.Join(s.Keys, dingTalkURL))
	secret, err2 := os.ReadFile(filepath.Join(s.Keys, dingTalkSecret))
	if err := errors.Join(err, err2); err != nil {
		return usageError{problem{"--keys", plainFileError(err), "make the folder with: wxnotify simulate keys --dingtalk URL --dir " + s.Keys}}
	}
	robot, err := url.Parse(string(address))
	if err != nil {
		return usageError{problem{"--keys", dingTalkURL + " holds no web address", "write the robot's address into it"}}
	}
	s.Token, s.Secret = robot.Query().Get("access_token"), string(secret)
	return nil
}
