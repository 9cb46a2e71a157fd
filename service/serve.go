package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"wxnotify/service/callback"
	"wxnotify/service/pager"
	"wxnotify/service/store"
	"wxnotify/service/telemetry"
	"wxnotify/service/web"
	"wxnotify/service/wechatpay"
)

type serveCommand struct{ settings }

// Run serves until the context ends (SIGINT, SIGTERM).
func (s serveCommand) Run(ctx context.Context, t terminal) error {
	cfg, err := loadConfig(s.Config, os.Environ())
	if errors.Is(err, errNoMerchant) && s.Config == "" {
		fmt.Fprint(t.err, firstSteps)
	}
	if err != nil {
		return configError{err}
	}
	running, err := start(ctx, cfg, telemetry.Options{Stderr: t.err})
	if err != nil {
		return err
	}
	running.watchKeys(ctx, lookEvery)
	select {
	case <-ctx.Done():
	case err = <-running.public.Failed():
	case err = <-running.private.Failed():
	}
	return errors.Join(err, running.stop())
}

// service is a running wxnotify.
type service struct {
	config    Config
	opener    *wechatpay.Opener
	store     *store.DB
	telemetry *telemetry.Telemetry
	public    *web.Server
	private   *web.Server
	pager     *pager.Pager // nil: nobody is told
	paging    sync.WaitGroup
	stopping  chan struct{} // closed when the service is ending: /readyz says so
	ended     context.CancelFunc
}

// start builds the service in the order in which a callback flows through it:
// door, telemetry, intake, opener, store. People are told through the configured
// channels and more.
func start(ctx context.Context, cfg Config, watching telemetry.Options, more ...pager.Route) (_ *service, err error) {
	opener, err := cfg.opener()
	if err != nil {
		return nil, configError{err}
	}
	token, err := cfg.Private.Token.read("private.token")
	if err != nil {
		return nil, configError{err}
	}
	alerts, err := cfg.Pager.Alertmanager.Token.read("pager.alertmanager.token")
	if err != nil {
		return nil, configError{err}
	}
	background, ended := context.WithCancel(context.WithoutCancel(ctx))
	s := &service{config: cfg, opener: opener, stopping: make(chan struct{}), ended: ended}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()

	watching.Merchants, watching.Version = cfg.merchantNames(), version()
	watching.Level = cfg.Log.slogLevel()
	if s.telemetry, err = telemetry.Start(ctx, watching); err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	remember, err := cfg.Store.options()
	if err != nil {
		return nil, err
	}
	remember.SpoolPath, remember.SpoolSize = cfg.Spool.Path, int64(cfg.Spool.Size)
	remember.Merchants, remember.OrdersRequired = cfg.merchantNames(), cfg.ordersRequired()
	remember.Open, remember.Commit = s.telemetry.OpenDB, s.telemetry.Commit
	if s.store, err = store.Open(ctx, remember); err != nil {
		return nil, fmt.Errorf("%w\n  spool.path is %s; `wxnotify check` looks into both", cfg.Store.trouble(err), cfg.Spool.Path)
	}
	intake := &callback.Intake{
		Opener:   s.telemetry.Opener(s.opener),
		Sealer:   s.opener,
		Recorder: s.telemetry.Recorder(s.store),
	}

	if err := s.page(background, more); err != nil {
		return nil, err
	}
	var takeAlerts echo.HandlerFunc // nil: nobody could be told of them, or nobody wants to be
	if s.pager != nil && cfg.Pager.Mode != pagerEmbedded {
		takeAlerts = pager.Alerts(s.store, cfg.Pager.Mode != pagerAlertmanager)
	}
	public := web.NewPublic(web.PublicOptions{
		Accept:         heard{s.telemetry.Accept(intake), s},
		Note:           s.store,
		TrustedProxies: cfg.TrustedProxies,
		Watch:          s.telemetry.HTTP,
		Middleware:     []echo.MiddlewareFunc{s.telemetry.Route()},
	})
	private := web.NewPrivate(web.PrivateOptions{
		Orders:      s.store,
		Ready:       s.ready,
		Metrics:     s.telemetry.Metrics(),
		Merchants:   cfg.merchantNames(),
		Token:       string(token),
		Alerts:      takeAlerts,
		AlertsToken: string(alerts),
	})
	if s.private, err = web.Listen(ctx, cfg.Private.Listen, private); err != nil {
		return nil, fmt.Errorf("private.listen: %w; stop what listens there, or set another address", err)
	}
	if s.public, err = web.Listen(ctx, cfg.Listen, public); err != nil {
		return nil, fmt.Errorf("listen: %w; stop what listens there, or set another address", err)
	}
	s.telemetry.Watch(background, s.store, s.opener)
	go s.purge(background)
	go s.watchStore(background)
	s.telemetry.Logger().InfoContext(ctx, "wxnotify is listening",
		"listen", s.public.Addr().String(), "private", s.private.Addr().String(),
		"merchants", strings.Join(cfg.merchantNames(), ","), "store", s.store.Engine())
	return s, nil
}

// How long each step of stopping may take. WeChat Pay waits 5 s for an answer,
// so requests in flight need no longer than the door's deadline.
const (
	drainTimeout   = 3 * time.Second
	commitTimeout  = 3 * time.Second
	flushTimeout   = 2500 * time.Millisecond
	privateTimeout = time.Second
)

// stop ends the service in the reverse order: unready, drain, commit, flush.
func (s *service) stop() error {
	var errs []error
	within := func(limit time.Duration, what string, f func(context.Context) error) {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := f(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	close(s.stopping)
	if s.public != nil {
		<-time.After(s.config.Shutdown.Delay)
		within(drainTimeout, "draining", s.public.Close)
	}
	s.ended()
	s.paging.Wait()
	if s.store != nil {
		within(commitTimeout, "closing the store", s.store.Close)
	}
	if s.telemetry != nil {
		if s.public != nil {
			s.telemetry.Logger().Info("wxnotify has stopped")
		}
		// What a collector that is down did not get is told on stderr already; it
		// is no reason to call the stop a failure.
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		_ = s.telemetry.Shutdown(ctx)
		cancel()
	}
	if s.private != nil {
		within(privateTimeout, "closing the private door", s.private.Close)
	}
	return errors.Join(errs...)
}

// firstSteps is what somebody sees who starts the service without a configuration.
const firstSteps = `wxnotify has no merchant to take callbacks for.

To see it work on this machine, without any configuration:

    wxnotify demo

The shortest configuration that works (wxnotify.yaml; run with --config wxnotify.yaml):

    merchants:
      shop:                                  # notify_url: https://YOUR.HOST/wechatpay/shop
        mchid: "1900000001"                  # 商户号
        keys:
          - id: PUB_KEY_ID_0119000000012024  # 微信支付公钥ID
            file: pub_key.pem                # 微信支付公钥
        apiv3_keys:
          - file: apiv3.key                  # APIv3密钥, 32 characters

`

// indent sets a list of problems off from the line above it.
func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}
