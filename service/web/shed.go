package web

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"wxnotify/service/callback"
)

// ServeHTTP lets callbacks in as long as there are not too many inside. The others
// are shed here, before anything is done for them: whatever one of them costs, all
// that were let in pay.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		d.inside.ServeHTTP(w, r)
		return
	}
	defer d.inFlight.Add(-1)
	if d.inFlight.Add(1) > d.most {
		d.shed(w, r)
		return
	}
	d.inside.ServeHTTP(w, r)
}

// shed refuses a callback unread. To verify it would cost the others their
// deadlines, so nobody knows whose it is. It is accounted for as all others are.
func (d *door) shed(w http.ResponseWriter, r *http.Request) {
	env := d.describe(r, merchantIn(r.URL.Path), time.Now())
	d.desks.do(func() {
		_ = d.handle(echo.NewResponse(w, d.echo), r, env, func(_ *echo.Response, _ *http.Request, env *callback.Envelope) {
			env.Verdict, env.Read = callback.Refuse(callback.ReasonOverloaded, "too many callbacks at once"), time.Now()
		})
	})
}

// merchantIn is what echo's router would find in the path.
func merchantIn(urlPath string) string {
	name, ok := strings.CutPrefix(tidy(urlPath), callbackFolder)
	if !ok {
		return ""
	}
	return name
}

// desks lend their stacks. Accounting for a callback takes a deep one; a flood from
// thousands of connections would have each of them grow its own, which takes more
// time than the work and hundreds of megabytes.
type desks struct{ work chan func() }

// deskIdle is how long a desk waits for more work.
const deskIdle = time.Second

// do runs f at a desk that is idle, or at a new one. A panic is the caller's.
func (d desks) do(f func()) {
	done := make(chan any, 1)
	job := func() {
		defer func() { done <- recover() }()
		f()
	}
	select {
	case d.work <- job:
	default:
		go d.sit(job)
	}
	if p := <-done; p != nil {
		panic(p)
	}
}

func (d desks) sit(job func()) {
	idle := time.NewTimer(deskIdle)
	defer idle.Stop()
	for {
		job()
		idle.Reset(deskIdle)
		select {
		case job = <-d.work:
		case <-idle.C:
			return
		}
	}
}
