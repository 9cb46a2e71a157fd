package pager

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Beat asks an address once, which is a dead man's switch elsewhere. It is told
// nothing but that we live, and its address is a secret: no error names it, and
// nobody that it might send us on to learns it.
func Beat(ctx context.Context, address string) error {
	asking, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(asking, http.MethodGet, address, nil)
	if err != nil {
		return errors.New("the address cannot be read")
	}
	answer, err := direct(nil).Do(r)
	if err != nil {
		return errors.New(cause(err, "the answer is not HTTP"))
	}
	_ = answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("answered %d", answer.StatusCode)
	}
	return nil
}
