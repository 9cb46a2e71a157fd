package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"wxnotify/service/pager"
)

type pageTestCommand struct{ settings }

// Run sends a drill through every channel and reports.
func (c pageTestCommand) Run(ctx context.Context, t terminal) error {
	cfg, err := loadConfig(c.Config, os.Environ())
	if err != nil {
		return configError{err}
	}
	routes, err := cfg.Pager.channels(t)
	if err != nil {
		return configError{err}
	}
	return arrived(t.out, pager.Test(ctx, routes))
}

// channels are the ways to people, at least one, for a command that sends by
// itself.
func (p PagerConfig) channels(t terminal) ([]pager.Route, error) {
	routes, err := p.routes(func(recipients int) {
		fmt.Fprintf(t.err, "pager.email: %d of the recipients were refused\n", recipients)
	})
	if err == nil && len(routes) == 0 {
		err = problem{"pager", "no channel is configured", "add pager.dingtalk, pager.email or pager.webhook; wxnotify check --example shows how"}
	}
	return routes, err
}

// arrived prints what became of a message.
func arrived(w io.Writer, reports []pager.Report) error {
	failed := false
	for _, r := range reports {
		verdict := "ok    the message was taken"
		if r.Err != nil {
			verdict, failed = "fail  "+r.Err.Error(), true
		}
		fmt.Fprintf(w, "%-12s %6s  %s\n", r.Channel, r.Took.Round(time.Millisecond), verdict)
	}
	if failed {
		return errors.New("not every channel took the message")
	}
	fmt.Fprintln(w, "\nTaken is not read: look whether it has arrived.")
	return nil
}
