package main

import (
	"context"
	"errors"
	"fmt"

	"wxnotify/service/simulator/webhook"
	"wxnotify/service/web"
)

type simulateInbox struct {
	Listen string `default:"127.0.0.1:8090" help:"Where pages are taken (POST /); GET / explains the rest."`
}

// Run prints every page that Alertmanager posts, until it is told to stop.
func (i simulateInbox) Run(ctx context.Context, t terminal) error {
	inbox := webhook.New(t.out)
	door, err := web.Listen(ctx, i.Listen, inbox)
	if err != nil {
		return fmt.Errorf("listen: %w; stop what listens there, or set another address", err)
	}
	fmt.Fprintf(t.out, "Taking pages at http://%s. Ctrl-C ends it.\n\n", door.Addr())
	select {
	case <-ctx.Done():
	case err = <-door.Failed():
	}
	return errors.Join(err, door.Close(context.WithoutCancel(ctx)))
}
