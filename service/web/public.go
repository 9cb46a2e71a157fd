package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"wxnotify/service/callback"
)

// callbackRoute is where WeChat Pay's notify_url points.
const (
	callbackFolder = "/wechatpay/"
	callbackRoute  = callbackFolder + ":merchant"
)

// Accepter takes one callback in. Its error is a [callback.Refusal].
type Accepter interface {
	Accept(ctx context.Context, env callback.Envelope) (callback.Receipt, error)
}

// Noter is told afterwards what was really put on the wire. It must not block.
type Noter interface {
	Answered(id string, status int, at time.Time, took time.Duration)
}

// PublicOptions configure the public door. Accept is required.
type PublicOptions struct {
	Accept Accepter
	Note   Noter // may be nil
	// Deadline is the time from the request's arrival to its answer. It does not
	// follow the client's: a sender who hangs up does not cancel the commit.
	// WeChat Pay waits 5 s for most callbacks and 3 s for some. Default 2.5 s.
	Deadline time.Duration
	// MaxBody is the largest body read, in bytes. Default 2 MiB.
	MaxBody int64
	// MaxInFlight is how many callbacks are handled at once; more are shed with 503
	// before their bodies are read. At a thousand a second, that many are answered
	// in a second. Default 1024.
	MaxInFlight int64
	// TrustedProxies may name the sender's address in X-Forwarded-For.
	TrustedProxies []netip.Prefix
	// Watch is put around all that is let in; what is shed does not pass it. Nil:
	// nothing is.
	Watch func(http.Handler) http.Handler
	// Middleware runs after routing.
	Middleware []echo.MiddlewareFunc
}

// door is the public door.
type door struct {
	echo     *echo.Echo
	inside   http.Handler // the echo, and who watches it
	accept   Accepter
	note     Noter
	deadline time.Duration
	maxBody  int64
	most     int64
	inFlight atomic.Int64
	desks    desks
}

// NewPublic builds the public door: the callback route and nothing else. A POST
// to any other path is taken in as well, without a merchant: it is refused with
// 404, but when it proves to be WeChat Pay's own, somebody has to hear of the
// wrong notify_url.
func NewPublic(o PublicOptions) http.Handler {
	e := newEcho()
	d := &door{
		echo: e, inside: e, accept: o.Accept, note: o.Note,
		deadline: o.Deadline, maxBody: o.MaxBody, most: o.MaxInFlight, desks: desks{make(chan func())},
	}
	if d.deadline == 0 {
		d.deadline = 2500 * time.Millisecond
	}
	if d.maxBody == 0 {
		d.maxBody = 2 << 20
	}
	if d.most == 0 {
		d.most = 1024
	}
	if o.Watch != nil {
		d.inside = o.Watch(e)
	}
	e.IPExtractor = extractIP(o.TrustedProxies)
	e.Pre(tidyPath)
	e.Use(o.Middleware...)
	e.Any("/*", onlyPost) // echo itself would answer OPTIONS with 204
	e.Any(callbackRoute, onlyPost)
	e.POST(callbackRoute, d.callback)
	e.POST("/*", d.callback)
	return d
}

func onlyPost(c echo.Context) error {
	c.Response().Header().Set("Allow", http.MethodPost)
	return echo.ErrMethodNotAllowed
}

// newEcho is echo without its banner and with our failure answers.
func newEcho() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		if c.Response().Committed {
			return
		}
		status := http.StatusInternalServerError
		var he *echo.HTTPError
		if errors.As(err, &he) {
			status = he.Code
		}
		_ = failure(callback.V3, status, http.StatusText(status)).write(c.Response())
	}
	return e
}

// tidyPath tolerates doubled and trailing slashes. It never redirects: WeChat
// Pay is not known to follow redirects.
func tidyPath(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		u.Path, u.RawPath = tidy(u.Path), ""
		return next(c)
	}
}

func tidy(urlPath string) string { return path.Clean("/" + urlPath) }

func extractIP(trusted []netip.Prefix) echo.IPExtractor {
	if len(trusted) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range trusted {
		options = append(options, echo.TrustIPRange(&net.IPNet{
			IP:   p.Addr().AsSlice(),
			Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

// callback is the way of one callback through the door.
func (d *door) callback(c echo.Context) error {
	started := time.Now()
	env := d.describe(c.Request(), c.Param("merchant"), started)
	return d.handle(c.Response(), c.Request(), env, d.read)
}

// handle takes a callback in, once prepare has completed its envelope, and answers it.
func (d *door) handle(w *echo.Response, r *http.Request, env callback.Envelope, prepare func(*echo.Response, *http.Request, *callback.Envelope)) (err error) {
	accepted := false
	defer func() {
		if p := recover(); p != nil {
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			err = d.afterPanic(w, r, env, accepted)
		}
	}()

	prepare(w, r, &env)
	ctx, cancel := context.WithDeadline(context.WithoutCancel(r.Context()), env.Received.Add(d.deadline))
	defer cancel()
	accepted = true
	receipt, refusal := d.accept.Accept(ctx, env)
	if r := callback.AsRefusal(refusal); r != nil && r.Trail.Row == "" {
		env.ID = "" // counted only: there is no row to note the answer on
	}
	return d.answer(w, env, answerTo(env.API(), receipt, refusal))
}

// afterPanic answers for a door that broke, and records the callback if that
// had not been tried yet.
func (d *door) afterPanic(w *echo.Response, r *http.Request, env callback.Envelope, accepted bool) error {
	refusal := callback.Refuse(callback.ReasonInternal, "panic at the door")
	if !accepted {
		env.Verdict = refusal
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), d.deadline)
		defer cancel()
		_, _ = d.accept.Accept(ctx, env)
	}
	if w.Committed {
		return nil
	}
	return d.answer(w, env, answerTo(env.API(), callback.Receipt{}, refusal))
}

func (d *door) answer(w *echo.Response, env callback.Envelope, a answer) error {
	// The connection's deadline was set for reading the body; an answer that is
	// late is still better than none.
	err := a.write(w)
	if d.note != nil && env.ID != "" {
		now := time.Now()
		d.note.Answered(env.ID, a.status, now, now.Sub(env.Received))
	}
	return err
}

// describe makes the envelope of a request whose body has not been read.
func (d *door) describe(r *http.Request, merchant string, started time.Time) callback.Envelope {
	peer, _ := netip.ParseAddr(d.echo.IPExtractor(r))
	return callback.Envelope{
		ID:          uuid.Must(uuid.NewV7()).String(),
		Merchant:    merchant,
		Received:    started,
		Peer:        peer.Unmap(),
		ContentType: r.Header.Get("Content-Type"),
		Length:      max(r.ContentLength, 0),
		Signature: callback.Signature{
			Serial:    r.Header.Get("Wechatpay-Serial"),
			Timestamp: r.Header.Get("Wechatpay-Timestamp"),
			Nonce:     r.Header.Get("Wechatpay-Nonce"),
			Type:      r.Header.Get("Wechatpay-Signature-Type"),
			Value:     r.Header.Get("Wechatpay-Signature"),
		},
	}
}

// read takes the body in, exactly as sent. A body that breaks off is judged by
// what came of it: it will not verify.
func (d *door) read(w *echo.Response, r *http.Request, env *callback.Envelope) {
	if r.ContentLength > d.maxBody {
		env.Verdict, env.Read = tooLarge(), time.Now()
		return
	}
	// A fifth of the time is kept for recording what came. Test recorders do not
	// support deadlines; the server's ReadTimeout is the second lock.
	_ = http.NewResponseController(w).SetReadDeadline(env.Received.Add(d.deadline * 4 / 5))
	// Memory is given for what has arrived, not for what is announced: many
	// connections that announce and send nothing must cost nothing.
	body := bytes.NewBuffer(make([]byte, 0, min(max(r.ContentLength, 512), usualBody)+bytes.MinRead))
	_, _ = body.ReadFrom(io.LimitReader(r.Body, d.maxBody+1))
	env.Read = time.Now()
	env.Length = max(env.Length, int64(body.Len()))
	if int64(body.Len()) > d.maxBody {
		env.Verdict = tooLarge()
		return
	}
	env.Body = body.Bytes()
}

// usualBody is more than a real callback has, which is 0.6 to 4 KiB.
const usualBody = 8 << 10

func tooLarge() *callback.Refusal {
	return callback.Refuse(callback.ReasonTooLarge, "body over the limit")
}
