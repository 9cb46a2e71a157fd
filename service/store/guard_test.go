//go:build stack

package store_test

import (
	"errors"
	"strings"
	"testing"

	"wxnotify/service/store"
	"wxnotify/service/store/storetest/server"
)

// A server that could take back what it has confirmed is refused: in words that
// name the setting.
func TestServerGuard(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		engine  server.Engine
		options []server.Option
		sql     string // once it runs
		query   string // of the address
		want    error
		says    string
	}{
		"fsync":              {server.PostgreSQL, []server.Option{server.WithoutSync()}, "", "", store.ErrUnsafe, "fsync=off"},
		"synchronous_commit": {server.PostgreSQL, nil, "ALTER ROLE " + server.User + " SET synchronous_commit = off", "", store.ErrUnsafe, "synchronous_commit"},
		"a pooler that drops settings": {
			server.PostgreSQL, nil, "", "&idle_in_transaction_session_timeout=0", nil, "is there a pooler between",
		},
		"innodb_flush_log_at_trx_commit": {server.MariaDB, nil, "SET GLOBAL innodb_flush_log_at_trx_commit = 2", "", store.ErrUnsafe, "innodb_flush_log_at_trx_commit is 2"},
		"innodb_flush_method":            {server.MariaDB, []server.Option{server.WithoutSync()}, "", "", store.ErrUnsafe, "innodb_flush_method=nosync"},
		"sync_binlog":                    {server.MariaDB, []server.Option{server.WithSetting("log-bin", "binlog")}, "", "", store.ErrUnsafe, "sync_binlog=0"},
		"sync_binlog=1":                  {server.MariaDB, []server.Option{server.WithSetting("log-bin", "binlog")}, "SET GLOBAL sync_binlog = 1", "", nil, ""},
		"read_only":                      {server.MariaDB, nil, "SET GLOBAL read_only = 1", "", nil, "name the primary"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := server.New(tt.engine, tt.options...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			o := store.Options{URL: s.Database(t)}
			if _, _, err := store.Migrate(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			if tt.sql != "" {
				s.Exec(t, tt.sql)
			}
			o.URL += tt.query
			db, err := store.Open(t.Context(), o)
			if err == nil {
				err = db.Close(t.Context())
				if tt.says != "" {
					t.Fatal("opened")
				}
			}
			if tt.says == "" && err != nil || tt.says != "" && (!strings.Contains(err.Error(), tt.says) || tt.want != nil && !errors.Is(err, tt.want)) {
				t.Errorf("refused with: %v", err)
			}
			if _, err := store.Inspect(t.Context(), o); (err == nil) != (tt.says == "") {
				t.Errorf("`wxnotify check` finds: %v", err)
			}
		})
	}
}
