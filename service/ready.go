package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

type readyCommand struct {
	URL string `arg:"" optional:"" default:"http://127.0.0.1:9090/readyz" help:"Whom to ask. The default is the private door's /readyz."`
}

// probeTimeout is well over the half second that /readyz gives a hanging store.
const probeTimeout = 3 * time.Second

// longestAnswer keeps a wrong address from filling the log of health checks.
const longestAnswer = 4 << 10

// Run asks once. The image has no shell and no curl: this is its health check,
// and any 2xx is health, so that it serves the simulators beside the service too.
func (r readyCommand) Run(ctx context.Context, t terminal) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil)
	if err != nil || request.URL.Scheme != "http" && request.URL.Scheme != "https" {
		return usageError{problem{"URL", fmt.Sprintf("%q is no web address", r.URL), "write http://127.0.0.1:9090/readyz, as private.listen has it"}}
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, longestAnswer))
	if err != nil {
		return fmt.Errorf("not ready: the answer of %s broke off: %w", r.URL, err)
	}
	said := strings.TrimSpace(string(body))
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("not ready: %s answered %s %s", r.URL, answer.Status, said)
	}
	fmt.Fprintln(t.out, "ready", said)
	return nil
}
