package pager

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxAnswer is more than any answer that we read.
const maxAnswer = 64 << 10

// postJSON posts JSON and returns the answer. Its errors name neither the address,
// which may be a secret, nor what was answered.
func postJSON(ctx context.Context, client *http.Client, to string, payload []byte, header http.Header) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(payload))
	if err != nil {
		return nil, errors.New("the address (url) cannot be read")
	}
	if r.URL.Scheme != "https" && r.URL.Scheme != "http" || r.URL.Host == "" {
		return nil, errors.New("the address (url) must begin with https://")
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	for name, values := range header {
		r.Header[name] = values
	}
	answer, err := direct(client).Do(r)
	if err != nil {
		return nil, errors.New(cause(err, "the answer is not HTTP"))
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch {
	case answer.StatusCode/100 == 3:
		return nil, fmt.Errorf("answered %d: it sends us elsewhere, and a message goes only where it was addressed to", answer.StatusCode)
	case answer.StatusCode/100 != 2:
		return nil, fmt.Errorf("answered %d", answer.StatusCode)
	case err != nil:
		return nil, errors.New("the answer broke off")
	}
	return body, nil
}

// direct follows no redirect: a message must not go where nobody sent it.
func direct(client *http.Client) *http.Client {
	var c http.Client
	if client != nil {
		c = *client
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}
