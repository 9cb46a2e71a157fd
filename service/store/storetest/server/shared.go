package server

import (
	"errors"
	"sync"
	"testing"
)

// shared are the servers that all tests of a process use. They would end with the
// process by themselves; see [M] for doing so sooner.
var shared sync.Map // of *once, by Engine

type once struct {
	sync.Mutex
	server *Server
	err    error
}

// Shared is the process' server of one kind, started for the first test that asks.
// A test that stops, kills or reconfigures a server makes its own with [New].
func Shared(t testing.TB, e Engine) *Server {
	t.Helper()
	found, _ := shared.LoadOrStore(e, new(once))
	o := found.(*once)
	o.Lock()
	defer o.Unlock()
	if o.server == nil && o.err == nil {
		o.server, o.err = New(e)
	}
	if o.err != nil {
		t.Fatal(o.err)
	}
	return o.server
}

// M closes the shared servers after a package's tests:
//
//	func TestMain(m *testing.M) { os.Exit(server.M{M: m}.Run()) }
type M struct{ *testing.M }

// Run runs the tests.
func (m M) Run() int {
	code := m.M.Run()
	if err := closeShared(); err != nil {
		println(err.Error())
		return max(code, 1)
	}
	return code
}

func closeShared() (err error) {
	shared.Range(func(e, found any) bool {
		if o := found.(*once); o.server != nil {
			err = errors.Join(err, o.server.Close())
		}
		shared.Delete(e)
		return true
	})
	return err
}
