//go:build stack

package main

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"wxnotify/service/store/storetest/server"
)

// TestStackComposedDatabase runs each server with what its container's command sets,
// asks its health check — no, yes, no again —, and has the migration's and the
// service's own commands accept it.
func TestStackComposedDatabase(t *testing.T) {
	t.Parallel()
	project := everything(t)
	for name, e := range map[string]server.Engine{"postgres": server.PostgreSQL, "mysql": server.MariaDB} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			container := project.Services[name]
			set := settingsIn(container.Command)
			if len(set) < 3 {
				t.Fatalf("%q sets nothing that the store checks", container.Command)
			}
			s, err := server.New(e, set...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			check := container.HealthCheck.Test[1:]
			_, ours, err := net.SplitHostPort(s.Addr())
			if err != nil {
				t.Fatal(err)
			}
			healthy := func(port string) bool {
				return probe(t, "/usr/bin", onPort(check, port))
			}
			if _, nobodys, _ := net.SplitHostPort(freeAddress(t)); healthy(nobodys) {
				t.Error("its health check finds a server where there is none")
			}
			if !healthy(ours) {
				t.Error("its health check does not find it well")
			}

			path := onServer(t, address(t, s.Database(t), nil), server.Password)
			for _, command := range [][]string{project.Services["migrate"].Command, {"check"}} {
				if code, out, errs := invoke(t.Context(), append(command, "--config", path)...); code != exitOK {
					t.Errorf("%q: exit %d\n%s%s", command, code, out, errs)
				}
			}

			_, series, _ := strings.Cut(container.Image, ":")
			series = series[:strings.LastIndex(series, ".")]
			if version := s.Exec(t, "SELECT version()"); !strings.Contains(version, series+".") {
				t.Errorf("the image is %s, tested is %s", container.Image, version)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := s.Stop(ctx); err != nil {
				t.Fatal(err)
			}
			if healthy(ours) {
				t.Error("its health check finds it well after it has ended")
			}
		})
	}
}

// settingsIn are what a server's command line sets: -c name=value, --name=value.
func settingsIn(command []string) (set []server.Option) {
	for _, arg := range command[1:] {
		if name, value, is := strings.Cut(strings.TrimPrefix(arg, "--"), "="); is {
			set = append(set, server.WithSetting(name, value))
		}
	}
	return set
}

// onPort is a health check that asks at another port.
func onPort(check []string, port string) []string {
	moved := slices.Clone(check)
	for i, arg := range moved {
		if strings.HasPrefix(arg, "--port=") {
			moved[i] = "--port=" + port
		}
	}
	return moved
}
