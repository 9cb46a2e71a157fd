//go:build stack

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// mail is one that Mailpit has taken.
type mail struct {
	ID      string
	Subject string
	Created time.Time // when Mailpit took it
	Text    string
	HTML    string
}

// mailbox is what came into Mailpit so far.
type mailbox struct {
	base string

	mu    sync.Mutex
	mails []mail
	known map[string]bool
	came  chan struct{} // closed, and made anew, with every mail
}

// readMails reads the mailbox from now on, until the test ends.
func (s *stack) readMails(t *testing.T) {
	t.Helper()
	b := &mailbox{base: "http://" + s.doors["mailpit:8025"], known: map[string]bool{}, came: make(chan struct{})}
	s.mails = b
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for t.Context().Err() == nil {
			if err := b.look(t.Context()); err != nil && t.Context().Err() == nil {
				t.Errorf("mailbox: %v", err)
				return
			}
			select {
			case <-tick.C:
			case <-t.Context().Done():
			}
		}
	}()
	t.Cleanup(func() { <-ended })
}

// look fetches what is new.
func (b *mailbox) look(ctx context.Context) error {
	var list struct {
		Messages []mail `json:"messages"`
	}
	if err := getJSON(ctx, b.base+"/api/v1/messages?limit=1000", &list); err != nil {
		return err
	}
	for _, m := range list.Messages {
		b.mu.Lock()
		known := b.known[m.ID]
		b.mu.Unlock()
		if known {
			continue
		}
		if err := getJSON(ctx, b.base+"/api/v1/message/"+m.ID, &struct {
			Text *string
			HTML *string
		}{&m.Text, &m.HTML}); err != nil {
			return err
		}
		b.mu.Lock()
		b.known[m.ID] = true
		b.mails = append(b.mails, m)
		close(b.came)
		b.came = make(chan struct{})
		b.mu.Unlock()
	}
	return nil
}

// all are the mails so far that mention every one of words.
func (b *mailbox) all(words ...string) (found []mail) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.mails {
		if m.mentions(words...) {
			found = append(found, m)
		}
	}
	return found
}

// received waits for the first mail that mentions every one of words.
func (b *mailbox) received(ctx context.Context, words ...string) (mail, error) {
	for {
		b.mu.Lock()
		came := b.came
		b.mu.Unlock()
		if found := b.all(words...); len(found) > 0 {
			return found[0], nil
		}
		select {
		case <-came:
		case <-ctx.Done():
			return mail{}, fmt.Errorf("no mail that mentions %q: %w", words, ctx.Err())
		}
	}
}

func (m mail) mentions(words ...string) bool {
	text := m.Subject + "\n" + m.Text
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// getJSON reads what a part answers.
func getJSON(ctx context.Context, url string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}
