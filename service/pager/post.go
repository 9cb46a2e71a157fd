package pager

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// postJSON posts JSON and returns the answer. Its errors name neither the address,
// which may be a secret, nor what was answered.
func postJSON(ctx context.Context, client *http.Client, to string, payload []byte, header http.Header) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(payload))
	if err != nil {
		return nil, errors.New("the address cannot be read")
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	for name, values := range header {
		r.Header[name] = values
	}
	if client == nil {
		client = direct
	}
	answer, err := client.Do(r)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err
		}
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	switch {
	case answer.StatusCode/100 != 2:
		return nil, fmt.Errorf("answered %d", answer.StatusCode)
	case err != nil:
		return nil, errors.New("the answer broke off")
	}
	return body, nil
}

// direct follows no redirect: a message must not go where nobody sent it.
var direct = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}
