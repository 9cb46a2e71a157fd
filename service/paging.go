package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/pager"
	"wxnotify/service/telemetry"
	"wxnotify/service/web"
)

// duty is what the replicas on a server share, so that one of them tells people.
// An SQLite file serves one process: there is nobody to share it with.
func (s *service) duty() pager.Duty {
	if s.config.Store.URL == "" {
		return nil
	}
	return s.store
}

// routes builds the channels. Their names are the metrics' labels. Refused is
// told when a mail was taken for some recipients only.
func (p PagerConfig) routes(refused func(recipients int)) (routes []pager.Route, err error) {
	var found problems
	robots := map[string]int{}
	read := func(s Secret, field string) string {
		value, err := s.read(field)
		if err != nil {
			found = append(found, err)
		}
		return string(value)
	}
	writer := p.writer()
	for n, c := range p.DingTalk {
		field := fmt.Sprintf("pager.dingtalk.%d", n)
		address := read(c.URL, field+".url")
		if other, twice := robots[address]; twice && address != "" {
			found.add(field+".url", fmt.Sprintf("the same robot as pager.dingtalk.%d: together they would exceed what it bears, and it goes mute", other), "leave one out")
		}
		robots[address] = n
		routes = append(routes, pager.Route{
			Name: numbered("dingtalk", n), PerMinute: pager.DingTalkPerMinute, Reserved: pager.DingTalkReserved,
			Channel: pager.DingTalk{
				URL: address, Secret: read(c.Secret, field+".secret"),
				Keyword: c.Keyword, Mobiles: c.Mobiles, Writer: writer,
			},
		})
	}
	for n, c := range p.Email {
		email := pager.Email{From: c.From, To: c.To, Writer: writer, Refused: refused}
		for i, r := range c.Relays {
			email.Relays = append(email.Relays, pager.Relay{
				Host: r.Host, Port: r.Port, TLS: pager.TLS(r.TLS), Username: r.Username,
				Password: read(r.Password, fmt.Sprintf("pager.email.%d.relays.%d.password", n, i)),
			})
		}
		routes = append(routes, pager.Route{Name: numbered("email", n), Channel: email})
	}
	for n, c := range p.Webhook {
		field := fmt.Sprintf("pager.webhook.%d", n)
		routes = append(routes, pager.Route{Name: numbered("webhook", n), Channel: pager.Webhook{
			URL: read(c.URL, field+".url"), Secret: read(c.Secret, field+".secret"), Writer: writer,
		}})
	}
	return routes, found.join()
}

// writer writes all messages, on whatever channel.
func (p PagerConfig) writer() pager.Writer {
	return pager.Writer{
		Language: pager.Language(p.Language), Environment: p.Environment,
		Links: pager.Links{Dashboard: p.Links.Dashboard, Runbooks: p.Links.Runbooks, Trace: p.Links.Trace},
	}
}

// numbered tells channels of one kind apart: dingtalk, dingtalk-2.
func numbered(kind string, n int) string {
	if n == 0 {
		return kind
	}
	return fmt.Sprintf("%s-%d", kind, n+1)
}

// page starts telling people, if there is a way to: the configured ones and more.
func (s *service) page(ctx context.Context, more []pager.Route) error {
	cfg, log := s.config.Pager, s.telemetry.Logger()
	routes, err := cfg.routes(func(recipients int) {
		log.WarnContext(ctx, "a relay refused some of the recipients of a mail: look at pager.email.to", "recipients", recipients)
	})
	if err != nil {
		return configError{err}
	}
	if routes = append(routes, more...); len(routes) == 0 {
		log.WarnContext(ctx, "nobody is told of failures: no channel is configured; add pager.dingtalk, pager.email or pager.webhook")
		return nil
	}
	for n, r := range routes {
		routes[n].Channel = pager.ChannelFunc(telemetry.Pages(s.telemetry, r.Name, r.Channel.Send))
	}
	holder, _ := os.Hostname()
	s.pager = pager.New(pager.Options{
		Book: s.store, Failures: s.store, Duty: s.duty(),
		Holder:   fmt.Sprintf("%.40s/%d", holder, os.Getpid()),
		Routes:   routes,
		Evaluate: cfg.Mode != pagerAlertmanager,
		Database: func(ctx context.Context) error { return s.store.Health(ctx).Database },
		Limits:   s.config.Spool.Path + ".sent",
		Drill:    daily(cfg.Drill),
		Troubled: func(trouble error) {
			if trouble == nil {
				log.InfoContext(ctx, "people can be told of failures again")
				return
			}
			log.ErrorContext(ctx, "people cannot be told of failures; trying on", "error", trouble)
		},
	})
	s.telemetry.WatchIncidents(s.pager.Incidents)
	s.paging.Go(func() { s.pager.Run(ctx) })
	address, err := cfg.Heartbeat.URL.read("pager.heartbeat.url")
	if err != nil {
		return configError{err}
	}
	if len(address) > 0 {
		s.paging.Go(func() { s.beat(ctx, string(address)) })
	}
	return nil
}

// beatEvery is how often the dead man's switch elsewhere hears of us.
const beatEvery = time.Minute

// beat asks an address as long as people can be told. Somebody else pages when
// that stops: we cannot tell that we are dead.
func (s *service) beat(ctx context.Context, address string) {
	log, refused := s.telemetry.Logger(), false
	for {
		next := time.Second // until people can be told
		if s.pager.Working() == nil {
			next = beatEvery
			switch err := pager.Beat(ctx, address); {
			case ctx.Err() != nil:
				return
			case err != nil && !refused:
				refused = true
				log.WarnContext(ctx, "the heartbeat is not taken: look at pager.heartbeat.url; trying on every minute", "error", err)
			case err == nil && refused:
				refused = false
				log.InfoContext(ctx, "the heartbeat is taken again")
			}
		}
		select {
		case <-time.After(next):
		case <-ctx.Done():
			return
		}
	}
}

// china is the merchants' time, also on a host without a zone database.
var china = time.FixedZone("UTC+8", 8*60*60)

// daily gives the next time that a clock in China shows so much ("09:30").
func daily(clock string) func(time.Time) time.Time {
	of, err := time.Parse("15:04", clock)
	if err != nil {
		return nil
	}
	return func(now time.Time) time.Time {
		year, month, day := now.In(china).Date()
		next := time.Date(year, month, day, of.Hour(), of.Minute(), 0, 0, china)
		if !next.After(now) {
			next = next.AddDate(0, 0, 1)
		}
		return next
	}
}

// heard tells the pager of failures as they happen.
type heard struct {
	next web.Accepter
	s    *service
}

func (h heard) Accept(ctx context.Context, env callback.Envelope) (callback.Receipt, error) {
	receipt, err := h.next.Accept(ctx, env)
	if h.s.pager == nil {
		return receipt, err
	}
	if refusal := callback.AsRefusal(err); refusal != nil {
		h.s.pager.Hear(h.merchant(env, refusal), refusal.Class, refusal.Reason)
	} else if reason := receipt.Reason(); reason != "" {
		h.s.pager.Hear(h.merchant(env, nil), reason.Class(), reason)
	}
	return receipt, err
}

// merchant is whose the store says the callback is: never what a stranger wrote
// into the path.
func (h heard) merchant(env callback.Envelope, refusal *callback.Refusal) string {
	if refusal != nil && refusal.Notification != nil && refusal.Notification.Merchant != "" {
		return refusal.Notification.Merchant // whose key opened it
	}
	if _, configured := h.s.config.Merchants[env.Merchant]; configured && (refusal == nil || refusal.Reason != callback.ReasonUnknownMerchant) {
		return env.Merchant
	}
	return callback.OtherMerchant
}
