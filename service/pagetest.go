package main

import (
	"context"
	"errors"
	"fmt"
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
	routes, err := cfg.Pager.routes(func(recipients int) {
		fmt.Fprintf(t.err, "pager.email: %d of the recipients were refused\n", recipients)
	})
	if err != nil {
		return configError{err}
	}
	if len(routes) == 0 {
		return configError{problem{"pager", "no channel is configured", "add pager.dingtalk, pager.email or pager.webhook; wxnotify check --example shows how"}}
	}
	failed := false
	for _, r := range pager.Test(ctx, routes) {
		verdict := "ok    the message was taken"
		if r.Err != nil {
			verdict, failed = "fail  "+r.Err.Error(), true
		}
		fmt.Fprintf(t.out, "%-12s %6s  %s\n", r.Channel, r.Took.Round(time.Millisecond), verdict)
	}
	if failed {
		return errors.New("not every channel took the message")
	}
	fmt.Fprintln(t.out, "\nTaken is not read: look whether it has arrived.")
	return nil
}
