package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"wxnotify/service/callback"
)

const (
	factOrders  = 5      // orders that a page names
	factSources = 3      // networks that a page names
	factTraces  = 3      // traces that a page links to
	factRows    = 10_000 // failures that are looked at, the latest
	factOpen    = 500    // notifications whose next sending is looked for, of the eldest and of the latest
)

const (
	// "incident <> 0" are the words of the partial index, so that it is used.
	sqlFactRows = ` FROM callbacks WHERE incident = ? AND incident <> 0 AND class = ? ORDER BY counted_at DESC LIMIT ?`

	sqlStake = `CASE WHEN kind IN ('refund', 'partner_refund') THEN refund ELSE amount END`

	sqlOpenAmounts = `SELECT CASE WHEN kind IN ('refund', 'partner_refund') THEN refund_currency ELSE currency END AS currency,
	sum(` + sqlStake + `) AS minor`

	sqlSumAmounts = ` GROUP BY 1 HAVING sum(` + sqlStake + `) > 0 ORDER BY 1`

	// By message, not by arrival: one payment that was sent five times is at
	// stake once.
	sqlFactAmounts = sqlOpenAmounts + ` FROM notifications
WHERE id IN (SELECT notification FROM (SELECT notification` + sqlFactRows + `) AS latest WHERE notification IS NOT NULL)` + sqlSumAmounts

	sqlFactOrders = `SELECT out_trade_no FROM (SELECT out_trade_no, received_at` + sqlFactRows + `) AS latest
WHERE out_trade_no <> '' GROUP BY out_trade_no ORDER BY min(received_at), out_trade_no LIMIT ?`

	sqlFactCount = `SELECT count(*) AS looked, count(DISTINCT CASE WHEN out_trade_no <> '' THEN out_trade_no END) AS orders
FROM (SELECT out_trade_no` + sqlFactRows + `) AS latest`

	// What a row counts beside itself came from anywhere: only its own sender is
	// known.
	sqlFactPeers = `SELECT peer AS network, count(*) AS count FROM (SELECT peer` + sqlFactRows + `) AS latest
WHERE peer <> '' GROUP BY peer ORDER BY count DESC, peer LIMIT 1000`

	sqlFactTraces = `SELECT trace FROM (SELECT trace, counted_at` + sqlFactRows + `) AS latest
WHERE trace <> '' ORDER BY counted_at DESC LIMIT ?`

	// What is quarantined was acknowledged: WeChat Pay does not send it again.
	sqlFactFirst = `SELECT CASE WHEN standing = 'quarantined' THEN 0 ELSE first_at END`
)

// facts reads what belongs to an incident, in one state of the database.
type facts struct {
	callback.IncidentFacts
	tx  *sqlx.Tx
	ctx context.Context //nolint:containedctx // lives as long as the reading
	err error
}

func (f *facts) read(into any, query string, args ...any) {
	if f.err == nil {
		f.err = f.tx.SelectContext(f.ctx, into, f.tx.Rebind(query), args...)
	}
}

// IncidentFacts reads what a page says beside the incident itself.
func (d *DB) IncidentFacts(ctx context.Context, i callback.Incident) (callback.IncidentFacts, error) {
	tx, err := d.reader.BeginTxx(ctx, &sql.TxOptions{Isolation: d.dialect.snapshot, ReadOnly: true})
	if err != nil {
		return callback.IncidentFacts{}, fmt.Errorf("store: reading about an incident: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	f := facts{tx: tx, ctx: ctx}
	now := d.opts.Now()
	open, args := sqlOpen, []any{micros(now.Add(-watchTime))}
	if i.Merchant != "" {
		open, args = open+` AND merchant = ?`, append(args, i.Merchant)
	}
	if i.Reason != "" {
		open, args = open+` AND reason = ?`, append(args, string(i.Reason))
	}
	switch i.Rule {
	case callback.RuleFailed:
		f.failed(i)
	case callback.RuleOutstanding:
		f.missing(open, args)
	case callback.RuleOrderConflict:
		orders := conflicting(i.Detail)
		f.Orders = orders[:min(len(orders), factOrders)]
		f.More = int(i.Count) - len(f.Orders)
	}
	f.resend(open, args, now)
	if f.err != nil {
		return callback.IncidentFacts{}, fmt.Errorf("store: reading about an incident: %w", f.err)
	}
	f.Known = true
	return f.IncidentFacts, nil
}

// failed reads the failures of an incident.
func (f *facts) failed(i callback.Incident) {
	rows := []any{i.ID, string(i.Class), factRows}
	var sum []struct{ Looked, Orders int64 }
	f.read(&f.Amounts, sqlFactAmounts, rows...)
	f.read(&f.Orders, sqlFactOrders, append(slices.Clone(rows), factOrders)...)
	f.read(&f.Traces, sqlFactTraces, append(slices.Clone(rows), factTraces)...)
	f.read(&sum, sqlFactCount, rows...)
	var peers []callback.Source
	if i.Class == callback.Unproven {
		f.read(&peers, sqlFactPeers, rows...)
	}
	if f.err != nil {
		return
	}
	f.More = int(sum[0].Orders) - len(f.Orders)
	f.Partial = sum[0].Looked == factRows
	if f.Sources = networks(peers); len(peers) > 0 && sum[0].Looked < i.Count {
		f.Sampled = sum[0].Looked
	}
}

// missing reads the notifications that are not accepted.
func (f *facts) missing(open string, args []any) {
	var orders []int
	f.read(&f.Amounts, sqlOpenAmounts+open+sqlSumAmounts, args...)
	f.read(&f.Orders, `SELECT out_trade_no`+open+` AND out_trade_no <> ''
GROUP BY out_trade_no ORDER BY min(first_at), out_trade_no LIMIT ?`, append(slices.Clone(args), factOrders)...)
	f.read(&f.Traces, `SELECT last_trace`+open+` AND last_trace <> '' ORDER BY first_at LIMIT ?`, append(slices.Clone(args), factTraces)...)
	f.read(&orders, `SELECT count(DISTINCT out_trade_no)`+open+` AND out_trade_no <> ''`, args...)
	if f.err == nil {
		f.More = orders[0] - len(f.Orders)
	}
}

// resend counts what is not accepted, and looks for WeChat Pay's next sending.
// Of very many, the eldest have least left and the latest come soonest.
func (f *facts) resend(open string, args []any, now time.Time) {
	var count, eldest, latest []int64
	f.read(&count, `SELECT count(*)`+open, args...)
	args = append(slices.Clone(args), factOpen)
	f.read(&eldest, sqlFactFirst+open+` ORDER BY first_at LIMIT ?`, args...)
	if f.err == nil && count[0] > factOpen {
		f.read(&latest, sqlFactFirst+open+` ORDER BY first_at DESC LIMIT ?`, args...)
	}
	if f.err != nil {
		return
	}
	f.Outstanding = count[0]
	for n, first := range append(eldest, latest...) {
		next, left := time.Time{}, 0
		if first != 0 {
			next, left = callback.NextArrival(moment(first), now)
		}
		if !next.IsZero() && (f.Next.IsZero() || next.Before(f.Next)) {
			f.Next = next
		}
		if n == 0 || left < f.Left {
			f.Left = left
		}
	}
}

// networks sums up addresses by network (/24, /48), the busiest first: a page
// names no single sender.
func networks(peers []callback.Source) []callback.Source {
	var list []callback.Source
	at := map[string]int{}
	for _, p := range peers {
		addr, err := netip.ParseAddr(p.Network)
		if err != nil {
			continue
		}
		bits := 48
		if addr = addr.Unmap(); addr.Is4() {
			bits = 24
		}
		network := netip.PrefixFrom(addr, bits).Masked().String()
		n, known := at[network]
		if !known {
			n = len(list)
			at[network] = n
			list = append(list, callback.Source{Network: network})
		}
		list[n].Count += p.Count
	}
	slices.SortStableFunc(list, func(a, b callback.Source) int { return cmp.Compare(b.Count, a.Count) })
	return list[:min(len(list), factSources)]
}
