package main

import (
	"context"
	"fmt"
	"time"

	"wxnotify/service/store"
	"wxnotify/service/web"
)

// ready answers /readyz.
func (s *service) ready(ctx context.Context) web.Readiness {
	h := s.store.Health(ctx)
	r := web.Readiness{Ready: h.Recordable, Degraded: map[string]string{}}
	if h.Database != nil {
		r.Degraded["database"] = "callbacks are answered 503 and kept in the spool; " + h.Database.Error()
	}
	if h.Spool != nil {
		r.Degraded["spool"] = "callbacks cannot be kept while the database is down; " + h.Spool.Error()
	}
	if h.Lost > 0 {
		r.Degraded["lost"] = fmt.Sprintf("%d refused callbacks could be kept nowhere since the start; their records are on stderr", h.Lost)
	}
	if s.pager != nil {
		if err := s.pager.Working(); err != nil {
			r.Degraded["pager"] = "people cannot be told of failures; " + err.Error()
		}
	}
	select {
	case <-s.stopping:
		r.Ready, r.Degraded["service"] = false, "stopping"
	default:
	}
	return r
}

// watchStore says when the database goes away, when it is back, and when
// callbacks could be kept nowhere.
func (s *service) watchStore(ctx context.Context) {
	look := time.NewTicker(time.Second)
	defer look.Stop()
	var since time.Time
	var before store.Health
	log := s.telemetry.Logger()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		now := s.store.Health(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case now.Database != nil && before.Database == nil:
			since = time.Now()
			log.ErrorContext(ctx, "the database is away: callbacks are answered 503 and kept in the spool, WeChat Pay sends them again", "error", now.Database)
		case now.Database == nil && before.Database != nil:
			log.InfoContext(ctx, "the database is back; what the spool kept is written to it", "away", time.Since(since).Round(time.Second).String())
		}
		if now.Spool != nil && before.Spool == nil {
			log.ErrorContext(ctx, "the spool cannot take callbacks: while the database is down they are only counted", "error", now.Spool)
		}
		if now.Lost > before.Lost {
			log.ErrorContext(ctx, "refused callbacks could be kept nowhere, or the spool was damaged; WeChat Pay sends them again", "callbacks", now.Lost-before.Lost)
		}
		before = now
	}
}

// purge deletes what is older than the retention, once an hour.
func (s *service) purge(ctx context.Context) {
	hourly := time.NewTicker(time.Hour)
	defer hourly.Stop()
	for {
		deleted, err := s.store.Purge(ctx, time.Now().AddDate(0, 0, -s.config.Store.RetentionDays))
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.telemetry.Logger().WarnContext(ctx, "retention: old callbacks were not deleted; trying again in an hour", "error", err)
		case deleted > 0:
			s.telemetry.Logger().InfoContext(ctx, "retention: old callbacks deleted", "rows", deleted, "older_than_days", s.config.Store.RetentionDays)
		}
		select {
		case <-hourly.C:
		case <-ctx.Done():
			return
		}
	}
}
