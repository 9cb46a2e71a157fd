//go:build stack

package main

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"wxnotify/service/simulator/wechat"
	"wxnotify/service/store/storetest/server"
)

// A replica stands still this long in mid-transaction, and holds its rows.
const still = 15 * time.Second

// writes counts the transactions of one database that have written something.
var writes = map[server.Engine]string{
	server.PostgreSQL: "SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND datname = '%s'",
	server.MariaDB:    "SELECT count(*) FROM information_schema.innodb_trx JOIN information_schema.processlist ON id = trx_mysql_thread_id WHERE trx_rows_modified > 0 AND db = '%s'",
}

// standsStill stops a replica's process while it holds the row of a message that
// the other replica gets, too.
func standsStill(t *testing.T, program string, e server.Engine) {
	s := server.Shared(t, e)
	p := s.Proxy(t)
	c := newCluster(t, program, s, nil, p.URL, direct)
	stands, goesOn := c.replicas[0], c.replicas[1]
	message := c.account.Message(wechat.Payment, wechat.NewOrder(100))
	p.Latency(700*time.Millisecond, 0) // long enough to look
	answered := make(chan int, 1)
	go func() { answered <- c.send(message, stands) }()
	query := fmt.Sprintf(writes[e], server.Name(c.database))
	// MariaDB shows what was 0.1 s ago, and nothing new to who asks more often.
	within(t, 20*time.Second, "it is in mid-transaction", func() bool { return s.Exec(t, query) == "1" })
	stands.signal(t, syscall.SIGSTOP)
	stands.ready.Store(false)
	stopped := time.Now()
	if s.Exec(t, query) != "1" {
		t.Fatal("its transaction has ended")
	}
	p.Heal()

	end := c.load(t, pace)
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for time.Since(stopped) < still {
		<-again.C
		c.send(message, goesOn)
	}
	if during := c.total(); during.refused > 0 || during.acknowledged < 500 {
		t.Errorf("while one stands still, the other's answers are %+v", during)
	}
	stands.signal(t, syscall.SIGCONT)
	<-answered
	end()
	stands.ready.Store(true)
	c.audit(t)
	c.heal(t)
	c.audit(t)
	t.Logf("%+v; slowest answer %s", c.total(), c.slowest)
}
