package store_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"wxnotify/service/store"
	"wxnotify/service/store/storetest/server"
)

var (
	growthRows    = flag.Int64("growth-rows", 10_000_000, "callbacks in the grown database of BenchmarkGrowth (200,000 with -short)")
	growthEngines = flag.String("growth-engines", "SQLite,PostgreSQL,MariaDB", "the engines that BenchmarkGrowth measures")
)

// garden is an empty database and a grown one of one engine, side by side.
type garden struct {
	testing.TB
	engine string
	driver string
	eldest time.Time // the first callback of the grown one
	empty  *plot
	grown  *plot
	table  *growthTable
}

// plot is one of the two.
type plot struct {
	store.Options
	folder string
	db     *store.DB
	raw    *sqlx.DB
	ids    []ids // of callbacks that are there
}

// BenchmarkGrowth measures a store with ten million callbacks of 200 days beside
// an empty one, in turns. `make bench-growth` runs it; what it found is written
// in service/docs/growth.md.
func BenchmarkGrowth(b *testing.B) {
	rows := *growthRows
	if testing.Short() {
		rows = min(rows, 200_000)
	}
	for b.Loop() {
		var t growthTable
		for engine := range strings.SplitSeq(*growthEngines, ",") {
			plant(b, engine, rows, &t).measure()
		}
		fmt.Printf("\n%d CPUs, %s, %d callbacks\n\n", runtime.NumCPU(), runtime.Version(), rows)
		t.print(os.Stdout)
	}
	b.ReportMetric(0, "ns/op") // one operation is the whole measurement
}

// plant makes both databases.
func plant(b *testing.B, engine string, rows int64, t *growthTable) *garden {
	b.Helper()
	g := &garden{TB: b, engine: engine, driver: "sqlite", table: t}
	place := func() *plot {
		dir := b.TempDir()
		return &plot{folder: dir, Options: store.Options{
			Path: filepath.Join(dir, "wxnotify.db"), SpoolPath: filepath.Join(dir, "spool"), Destinations: []string{"shop"},
		}}
	}
	if engine != "SQLite" {
		s := serve(b, server.Engine(engine))
		local := place
		place = func() *plot {
			p := local()
			p.Path, p.URL = "", s.Database(b)
			return p
		}
		g.driver = map[string]string{"PostgreSQL": "pgx", "MariaDB": "wxnotify-mysql"}[engine]
	}
	g.empty, g.grown = place(), place()
	for _, p := range []*plot{g.empty, g.grown} {
		if _, _, err := store.Migrate(b.Context(), p.Options); err != nil {
			b.Fatal(err)
		}
	}
	began := time.Now()
	raw := g.open(g.grown, false)
	g.eldest = grow(b, engine, raw, rows, func(done int64) {
		if took := time.Since(began); done%(rows/10) < rows/grownDays {
			fmt.Printf("%s: %d callbacks in %s\n", engine, done, took.Round(time.Second))
		}
	})
	if err := raw.Close(); err != nil {
		b.Fatal(err)
	}
	fmt.Printf("%s: grown in %s\n", engine, time.Since(began).Round(time.Second))
	for _, p := range []*plot{g.empty, g.grown} {
		p.raw = g.open(p, true)
	}
	return g
}

// serve starts a server as large as a machine for ten million callbacks has.
func serve(b *testing.B, e server.Engine) *server.Server {
	b.Helper()
	settings := map[server.Engine][]server.Option{
		server.PostgreSQL: {server.WithSetting("shared_buffers", "1GB"), server.WithSetting("max_wal_size", "4GB")},
		server.MariaDB:    {server.WithSetting("innodb-buffer-pool-size", "1G"), server.WithSetting("innodb-log-file-size", "1G")},
	}
	s, err := server.New(e, settings[e]...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// open opens a database beside the store.
func (g garden) open(p *plot, read bool) *sqlx.DB {
	g.Helper()
	source := "file:" + p.Path + "?_pragma=busy_timeout(5000)"
	if read {
		source += "&_pragma=query_only(1)"
	}
	if p.URL != "" {
		source = store.DSN(p.Options)
		if !read {
			source = strings.ReplaceAll(source, "default_transaction_read_only=on", "default_transaction_read_only=off")
		}
	}
	db, err := sqlx.Open(g.driver, source)
	if err != nil {
		g.Fatal(err)
	}
	g.Cleanup(func() { _ = db.Close() })
	return db
}

// growthRounds is how often each measure is taken on both databases, in turns.
const growthRounds = 3

func (g *garden) measure() {
	g.Helper()
	alike(g, g.grown.Options, g.grown.raw)
	both := []*plot{g.empty, g.grown}
	for _, p := range both {
		p.db = mustOpen(g, p.Options)
		g.settle(p)
	}
	for round := range growthRounds {
		for _, one := range measures {
			for _, p := range both {
				for name, value := range one(g, p) {
					g.table.add(g.engine, name, round, p == g.grown, value)
				}
			}
			slices.Reverse(both)
		}
		fmt.Printf("%s: round %d of %d\n", g.engine, round+1, growthRounds)
	}
	g.retention()
	for _, p := range both {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if err := p.db.Close(ctx); err != nil {
			g.Error(err)
		}
		cancel()
	}
	for round := range growthRounds {
		for _, p := range both {
			for name, value := range g.restart(p) {
				g.table.add(g.engine, name, round, p == g.grown, value)
			}
		}
	}
}

// settle records some callbacks that are not measured, and chooses what the
// searches look for: rows of all ages.
func (g *garden) settle(p *plot) {
	g.Helper()
	g.accept(p, 8, 2000)
	var most int64
	if err := p.raw.Get(&most, `SELECT max(id) FROM notifications`); err != nil {
		g.Fatal(err)
	}
	for i := range int64(200) {
		var found []ids
		if err := p.raw.Select(&found, p.raw.Rebind(`SELECT callback, notification_id, out_trade_no, transaction_id
FROM notifications WHERE id >= ? ORDER BY id LIMIT 1`), i*most/200); err != nil {
			g.Fatal(err)
		}
		p.ids = append(p.ids, found...)
	}
}

// ids are of one message.
type ids struct {
	Callback       string `db:"callback"`
	NotificationID string `db:"notification_id"`
	OutTradeNo     string `db:"out_trade_no"`
	TransactionID  string `db:"transaction_id"`
}
