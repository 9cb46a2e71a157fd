package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// toxiproxy is the real one, with its API.
// Source: https://github.com/Shopify/toxiproxy/blob/v2.5.0/README.md
type toxiproxy struct {
	guard *guard
	api   string
}

// toxiproxyLimit bounds its start, and each of its answers.
const toxiproxyLimit = 15 * time.Second

func newToxiproxy(ctx context.Context) (*toxiproxy, error) {
	program, err := tool("toxiproxy")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	x := &toxiproxy{api: fmt.Sprintf("http://127.0.0.1:%d", port)}
	if x.guard, err = newGuard("toxiproxy", "", syscall.SIGKILL); err != nil {
		return nil, err
	}
	p, err := x.guard.start("log", program, "-host", "127.0.0.1", "-port", strconv.Itoa(port))
	if err != nil {
		return nil, errors.Join(err, x.guard.close())
	}
	ctx, cancel := context.WithTimeout(ctx, toxiproxyLimit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if err = x.call(ctx, http.MethodGet, "/version", nil); err == nil {
			return x, nil
		}
		select {
		case <-tick.C:
			continue
		case <-p.ended:
		case <-ctx.Done():
		}
		err = fmt.Errorf("server: toxiproxy does not start: %w\n%s", err, x.guard.said("log"))
		return nil, errors.Join(err, x.guard.close())
	}
}

// call asks the API; what is not there needs no removal.
func (x *toxiproxy) call(ctx context.Context, method, path string, body any) error {
	ctx, cancel := context.WithTimeout(ctx, toxiproxyLimit)
	defer cancel()
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ask, err := http.NewRequestWithContext(ctx, method, x.api+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	ask.Close = true // no idle connection to find at the end of the tests
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 == 2 || answer.StatusCode == http.StatusNotFound && method == http.MethodDelete {
		return nil
	}
	said, err := io.ReadAll(answer.Body)
	return errors.Join(fmt.Errorf("server: toxiproxy: %s %s: %s %s", method, path, answer.Status, said), err)
}
