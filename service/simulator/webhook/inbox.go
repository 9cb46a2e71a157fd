package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// usage is what GET / answers.
const usage = `simulated receiver of Alertmanager's webhook

POST /          takes a page
GET  /pages     the pages taken so far, the oldest first
POST /faults    what happens to the next pages
                {"status":503,"hang":"2s","times":3}
                times 0: until the next POST /faults; {} ends it
GET  /healthz   200
`

// kept bounds the pages in memory; the oldest go first.
const kept = 10_000

// largest is more than any page: Alertmanager sends whole groups.
const largest = 16 << 20

// Inbox takes pages. Make one with [New]; it is safe for concurrent use.
type Inbox struct {
	mux   *http.ServeMux
	print io.Writer

	mu     sync.Mutex
	pages  []Page
	gone   int           // pages that are no longer kept
	fault  Fault         // of the next pages
	came   chan struct{} // closed, and made anew, with every page
	faulty int           // pages that a fault has hit
}

// Fault is how the inbox misbehaves. A page that it hits is not kept.
type Fault struct {
	Status int           // answered instead of 200; 0 answers as usual
	Hang   time.Duration // before the answer
	Times  int           // pages it hits; 0 means every one
}

// New makes an inbox that prints a readable block for each page to w, unless w
// is nil.
func New(w io.Writer) *Inbox {
	b := &Inbox{mux: http.NewServeMux(), print: w, came: make(chan struct{})}
	b.mux.HandleFunc("POST /{$}", b.take)
	b.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, usage) })
	b.mux.HandleFunc("GET /pages", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, b.Pages()) })
	b.mux.HandleFunc("POST /faults", b.faults)
	b.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	return b
}

func (b *Inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.mux.ServeHTTP(w, r) }

// Break makes the next pages meet f; the zero Fault ends that.
func (b *Inbox) Break(f Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = f
}

// Broken is how many pages a fault has hit.
func (b *Inbox) Broken() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.faulty
}

// Pages are the pages taken so far, the oldest first.
func (b *Inbox) Pages() []Page {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.pages)
}

// Received returns the first page for which want is true, one that is here
// already or one that is still to come; a nil want is content with any. The
// error is that of ctx.
func (b *Inbox) Received(ctx context.Context, want func(Page) bool) (Page, error) {
	for seen := 0; ; {
		b.mu.Lock()
		news, came := b.pages[max(seen-b.gone, 0):], b.came
		seen = b.gone + len(b.pages)
		b.mu.Unlock()
		for _, p := range news {
			if want == nil || want(p) {
				return p, nil
			}
		}
		select {
		case <-came:
		case <-ctx.Done():
			return Page{}, context.Cause(ctx)
		}
	}
}

func (b *Inbox) take(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largest))
	if err != nil {
		reply(w, http.StatusRequestEntityTooLarge, refusal{"the page broke off, or is too large"})
		return
	}
	p, err := parse(body)
	if err != nil {
		reply(w, http.StatusBadRequest, refusal{err.Error()})
		return
	}
	p.At = at
	if f, hit := b.hit(); hit {
		if f.Hang > 0 {
			await(r.Context(), f.Hang)
		}
		if f.Status != 0 {
			w.WriteHeader(f.Status)
			return
		}
	}
	b.keep(p)
	w.WriteHeader(http.StatusOK)
}

// hit uses up one page of the fault, if there is one.
func (b *Inbox) hit() (Fault, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.fault
	if f == (Fault{}) {
		return f, false
	}
	b.faulty++
	switch f.Times {
	case 0: // until the next order
	case 1:
		b.fault = Fault{}
	default:
		b.fault.Times--
	}
	return f, true
}

// keep stores the page and prints it, so that blocks never run into another.
func (b *Inbox) keep(p Page) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.pages) == kept {
		b.pages = b.pages[1:]
		b.gone++
	}
	b.pages = append(b.pages, p)
	close(b.came)
	b.came = make(chan struct{})
	if b.print != nil {
		_, _ = io.WriteString(b.print, p.block())
	}
}

// order is what POST /faults asks for.
type order struct {
	Status int    `json:"status"`
	Hang   string `json:"hang"`
	Times  int    `json:"times"`
}

func (b *Inbox) faults(w http.ResponseWriter, r *http.Request) {
	var o order
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	in.DisallowUnknownFields()
	if err := in.Decode(&o); err != nil && !errors.Is(err, io.EOF) {
		reply(w, http.StatusBadRequest, refusal{err.Error()})
		return
	}
	f := Fault{Status: o.Status, Times: o.Times}
	var err error
	if o.Hang != "" {
		f.Hang, err = time.ParseDuration(o.Hang)
	}
	if err != nil || f.Hang < 0 || f.Times < 0 || f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		reply(w, http.StatusBadRequest, refusal{fmt.Sprintf("status %d, hang %q or times %d is not possible", o.Status, o.Hang, o.Times)})
		return
	}
	b.Break(f)
	reply(w, http.StatusOK, o)
}

// await waits for d, or until the sender hangs up.
func await(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

type refusal struct {
	Error string `json:"error"`
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the other side has gone; nobody to tell
}
