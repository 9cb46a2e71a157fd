package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"wxnotify/service/callback"
)

const (
	factOrders  = 5 // orders that a page names
	factSources = 3 // networks that a page names
	factTraces  = 3 // traces that a page links to
	factOpen    = 500
)

const (
	// "incident <> 0" are the words of the partial index, so that it is used.
	//
	// By message, not by arrival: one payment that was sent five times is at
	// stake once.
	sqlFactAmounts = `SELECT
	CASE WHEN kind IN ('refund', 'partner_refund') THEN refund_currency ELSE currency END AS currency,
	sum(CASE WHEN kind IN ('refund', 'partner_refund') THEN refund ELSE amount END) AS minor
FROM notifications
WHERE id IN (SELECT notification FROM callbacks WHERE incident = ? AND incident <> 0 AND notification IS NOT NULL)
GROUP BY 1 HAVING sum(CASE WHEN kind IN ('refund', 'partner_refund') THEN refund ELSE amount END) > 0 ORDER BY 1`

	sqlFactOrders = `SELECT out_trade_no FROM callbacks
WHERE incident = ? AND incident <> 0 AND out_trade_no <> '' GROUP BY out_trade_no ORDER BY min(received_at), out_trade_no LIMIT ?`

	sqlFactOrderCount = `SELECT count(DISTINCT out_trade_no) FROM callbacks WHERE incident = ? AND incident <> 0 AND out_trade_no <> ''`

	sqlFactPeers = `SELECT peer AS network, sum(1 + repeats) AS count FROM callbacks
WHERE incident = ? AND incident <> 0 AND peer <> '' GROUP BY peer ORDER BY count DESC, peer LIMIT 1000`

	sqlFactTraces = `SELECT trace FROM callbacks WHERE incident = ? AND incident <> 0 AND trace <> '' ORDER BY seq DESC LIMIT ?`

	// What is quarantined was acknowledged: WeChat Pay does not send it again.
	sqlFactOpen = `SELECT CASE WHEN standing = 'quarantined' THEN 0 ELSE first_at END` + sqlOpen + ` AND (? = '' OR merchant = ?) AND (? = '' OR reason = ?) ORDER BY first_at LIMIT ?`
)

// IncidentFacts reads what a page says beside the incident itself.
func (d *DB) IncidentFacts(ctx context.Context, i callback.Incident) (facts callback.IncidentFacts, err error) {
	tx, err := d.reader.BeginTxx(ctx, &sql.TxOptions{Isolation: d.dialect.snapshot, ReadOnly: true})
	if err != nil {
		return facts, fmt.Errorf("store: reading about an incident: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	read := func(into any, query string, args ...any) {
		if err == nil {
			err = tx.SelectContext(ctx, into, tx.Rebind(query), args...)
		}
	}
	var orders []int
	var peers []callback.Source
	var open []int64
	read(&facts.Amounts, sqlFactAmounts, i.ID)
	read(&facts.Orders, sqlFactOrders, i.ID, factOrders)
	read(&orders, sqlFactOrderCount, i.ID)
	read(&facts.Traces, sqlFactTraces, i.ID, factTraces)
	if i.Class == callback.Unproven {
		read(&peers, sqlFactPeers, i.ID)
	}
	now := d.opts.Now()
	read(&open, sqlFactOpen, micros(now.Add(-watchTime)), i.Merchant, i.Merchant, string(i.Reason), string(i.Reason), factOpen)
	if err != nil {
		return callback.IncidentFacts{}, fmt.Errorf("store: reading about an incident: %w", err)
	}
	facts.More = orders[0] - len(facts.Orders)
	facts.Sources = networks(peers)
	facts.Outstanding = int64(len(open))
	for n, first := range open {
		next, left := time.Time{}, 0
		if first != 0 {
			next, left = callback.NextArrival(moment(first), now)
		}
		if !next.IsZero() && (facts.Next.IsZero() || next.Before(facts.Next)) {
			facts.Next = next
		}
		if n == 0 || left < facts.Left {
			facts.Left = left
		}
	}
	return facts, nil
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
