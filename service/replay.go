package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/store"
	"wxnotify/service/wechatpay"
)

type replayCommand struct {
	settings
	ID string `arg:"" help:"Arrival id, notification id, 微信支付订单号 or 商户订单号."`
}

// Run shows, for every stored arrival under that id, what was decided then and
// what would be decided now. It changes nothing.
func (r replayCommand) Run(ctx context.Context, t terminal) (err error) {
	db, opener, err := openArchive(ctx, r.Config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close(ctx)) }()
	found, err := lookUp(ctx, db, r.ID)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("nothing is stored under %q; it may be past the retention, or wait in the spool of a running service", r.ID)
	}
	for _, s := range found {
		fmt.Fprintf(t.out, "%s  %s  merchant %s\n  then: %s\n  now:  %s\n",
			s.Envelope.ID, s.Envelope.Received.Format(time.RFC3339), s.Envelope.Merchant, verdictThen(s), verdictNow(ctx, opener, s))
	}
	fmt.Fprintln(t.out, "Nothing was changed: `now` is verification and decryption only, without the order.")
	return nil
}

// lookUp finds one arrival by its own id, or all that have another id in common.
func lookUp(ctx context.Context, db *store.DB, id string) ([]callback.Stored, error) {
	one, err := db.Callback(ctx, id)
	if errors.Is(err, callback.ErrNotFound) {
		return db.Find(ctx, id)
	}
	return []callback.Stored{one}, err
}

func verdictThen(s callback.Stored) string {
	text := string(s.Outcome)
	if s.Reason != "" {
		text += fmt.Sprintf(" (%s, %s): %s", s.Reason, s.Class, s.Reason.English())
	}
	return fmt.Sprintf("%s, answered %d", text, s.Status)
}

func verdictNow(ctx context.Context, opener *wechatpay.Opener, s callback.Stored) string {
	env := s.Envelope
	body, err := opener.Unseal(env.Merchant, s.Body)
	if err != nil {
		return "cannot tell: " + err.Error()
	}
	env.Body = body
	n, err := opener.Open(ctx, env)
	if err != nil {
		refusal := callback.AsRefusal(err)
		return fmt.Sprintf("refused (%s, %s): %s", refusal.Reason, refusal.Class, refusal.Reason.English())
	}
	return fmt.Sprintf("verified: %s %s, out_trade_no %s, transaction_id %s, %s", n.Kind, n.State, n.OutTradeNo, n.TransactionID, n.Amount)
}

// openArchive opens the store beside a service that may be running: no spool,
// no telemetry.
func openArchive(ctx context.Context, config string) (*store.DB, *wechatpay.Opener, error) {
	cfg, err := loadConfig(config, os.Environ())
	if err != nil {
		return nil, nil, configError{err}
	}
	opener, err := cfg.opener()
	if err != nil {
		return nil, nil, configError{err}
	}
	if _, err := os.Stat(cfg.Store.Path); err != nil && cfg.Store.URL == "" {
		return nil, nil, configError{problem{"store.path", plainFileError(err), "run this where the service runs, with its configuration"}}
	}
	o, err := cfg.Store.options()
	if err != nil {
		return nil, nil, err
	}
	o.OrdersRequired, o.Beside = cfg.ordersRequired(), true
	db, err := store.Open(ctx, o)
	if err != nil {
		return nil, nil, cfg.Store.trouble(err)
	}
	return db, opener, nil
}

// ordersRequired lists the merchants whose orders must be known ahead.
func (c Config) ordersRequired() map[string]bool {
	required := map[string]bool{}
	for name, m := range c.Merchants {
		required[name] = m.Orders == "required"
	}
	return required
}
