package main

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"text/tabwriter"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/store"
)

type resolveCommand struct {
	settings
	ID     string `arg:"" optional:"" help:"Notification id. Without one, what is outstanding is listed."`
	Accept bool   `xor:"how" help:"The money is there: book it as if the callback had been accepted."`
	Reject bool   `xor:"how" help:"There is nothing to book: end it."`
	Reason string `help:"Why, for the audit log."`
	By     string `help:"Who decided (default: the system user)."`
}

// listed is how many outstanding notifications one page shows.
const listed = 200

// Run lists what is outstanding, or ends one notification by a person's word.
func (r resolveCommand) Run(ctx context.Context, t terminal) (err error) {
	switch decided := r.Accept || r.Reject; {
	case r.ID != "" && !decided:
		return usageError{problem{"resolve " + r.ID, "no decision", `add --accept or --reject, and --reason "…"`}}
	case r.ID != "" && r.Reason == "":
		return usageError{problem{"--reason", "missing", `say why, for the audit log: --reason "…"`}}
	case r.ID == "" && decided:
		return usageError{problem{"resolve", "a decision without a notification id", "name one from the list that 'wxnotify resolve' prints"}}
	}
	db, _, err := openArchive(ctx, r.Config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close(ctx)) }()
	if r.ID == "" {
		outstanding, err := db.Outstanding(ctx, listed)
		if err != nil {
			return err
		}
		return listOutstanding(t, outstanding, time.Now())
	}
	switch err := db.Resolve(ctx, r.ID, r.Accept, r.Reason, r.decider()); {
	case errors.Is(err, callback.ErrNotFound), errors.Is(err, store.ErrResolved):
		return fmt.Errorf("nothing is outstanding under %q; list what is with: wxnotify resolve", r.ID)
	case errors.Is(err, store.ErrAmbiguous):
		return fmt.Errorf("several merchants have a notification %q; name one as MERCHANT/%s", r.ID, r.ID)
	case err != nil:
		return err
	}
	decision := "rejected: nothing was booked"
	if r.Accept {
		decision = "accepted: the order has been moved"
	}
	fmt.Fprintf(t.out, "%s %s.\n", r.ID, decision)
	return nil
}

func (r resolveCommand) decider() string {
	if r.By != "" {
		return r.By
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

// atStake is the money that is missing: of a refund, what it returns.
func atStake(o callback.Outstanding) callback.Money {
	if o.Refunded.Currency != "" {
		return o.Refunded
	}
	return o.Amount
}

// sentAgain says what is still to be expected from WeChat Pay.
func sentAgain(o callback.Outstanding, now time.Time) string {
	if o.Reason.Quarantined() {
		return "no: it was acknowledged; decide with --accept or --reject"
	}
	next, left := callback.NextArrival(o.First, now)
	if left == 0 {
		return "no more: query the order"
	}
	return fmt.Sprintf("in %s, %d left", next.Sub(now).Round(time.Second), left)
}

func listOutstanding(t terminal, all []callback.Outstanding, now time.Time) error {
	if len(all) == 0 {
		fmt.Fprintln(t.out, "Nothing is outstanding (没有未入账的通知).")
		return nil
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NOTIFICATION\tMERCHANT\tREASON\tAMOUNT\t商户订单号\tAGE\tARRIVALS\tWECHAT SENDS AGAIN")
	for _, o := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", o.ID, o.Merchant, o.Reason, atStake(o), o.OutTradeNo,
			now.Sub(o.First).Round(time.Second), o.Arrivals, sentAgain(o, now))
	}
	return w.Flush()
}
