package pager_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/pager"
)

var (
	schedules = flag.Int("schedules", 2000, "how many generated schedules the pager meets")
	firstSeed = flag.Uint64("seed", 1, "the first schedule's seed")
)

// TestSchedules: failures, faults of the channels, outages of the database and
// crashes, generated, on a virtual clock. Every failure is told, no message more
// than the faults explain, and the robot is never muted.
func TestSchedules(t *testing.T) {
	t.Parallel()
	n := *schedules
	if testing.Short() {
		n = min(n, 200)
	}
	for seed := *firstSeed; seed < *firstSeed+uint64(n); seed++ {
		synctest.Test(t, func(t *testing.T) {
			s := newSchedule(t, seed)
			s.play()
			s.judge()
		})
		if t.Failed() {
			t.Fatalf("schedule %d; alone: go test ./service/pager -run TestSchedules -seed %d -schedules 1", seed, seed)
		}
	}
}

// schedule is one generated course of events.
type schedule struct {
	t       *testing.T
	rand    *rand.Rand
	ledger  *ledger
	robot   *phone
	mailbox *phone
	running *process
	stop    context.CancelFunc
	crashes int
	outages int
	faults  int
	log     []string
}

func newSchedule(t *testing.T, seed uint64) *schedule {
	s := &schedule{
		t: t, rand: rand.New(rand.NewPCG(seed, 1)), ledger: newLedger(), //nolint:gosec // repeatable
		robot: &phone{limit: 20}, mailbox: &phone{},
	}
	s.start()
	return s
}

func (s *schedule) start() {
	s.running = &process{ledger: s.ledger}
	p := pager.New(pager.Options{
		Book: s.running, Failures: s.running, Duty: s.running, Holder: fmt.Sprint(s.crashes), Evaluate: true,
		Routes: []pager.Route{
			{Name: "robot", Channel: s.robot, PerMinute: pager.DingTalkPerMinute, Reserved: pager.DingTalkReserved},
			{Name: "mail", Channel: s.mailbox},
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go p.Run(ctx)
}

func (s *schedule) note(format string, args ...any) {
	s.log = append(s.log, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (s *schedule) crash() {
	s.note("crash")
	s.running.kill()
	s.stop()
	s.crashes++
	time.Sleep(time.Duration(s.rand.IntN(30)) * time.Second)
	s.start()
}

// play lasts a little more than an hour of failures and faults, and ends with
// everything sound for long enough that all must have been told.
func (s *schedule) play() {
	end := time.Now().Add(time.Hour)
	merchants := []string{"shop", "cafe", "bell"}
	reasons := callback.Reasons()
	faultless := s.rand.IntN(4) == 0
	for time.Now().Before(end) {
		switch roll := s.rand.IntN(20); {
		case roll < 12 || faultless:
			reason := reasons[s.rand.IntN(len(reasons))]
			class := reason.Classes()[s.rand.IntN(len(reason.Classes()))]
			merchant := merchants[s.rand.IntN(len(merchants))]
			for range 1 + s.rand.IntN(3)*s.rand.IntN(20) {
				s.ledger.fail(merchant, class, reason)
			}
			s.note("fail %s %s %s", merchant, class, reason)
		case roll < 14:
			s.faults++
			s.fault(s.robot, []fault{sound, refusing, hanging, lying}[s.rand.IntN(4)])
		case roll < 16:
			s.faults++
			s.fault(s.mailbox, []fault{sound, refusing, hanging, lying}[s.rand.IntN(4)])
		case roll < 18:
			down := s.rand.IntN(2) == 0
			if down {
				s.outages++
			}
			s.ledger.set(down)
			s.note("database down: %v", down)
		default:
			s.crash()
		}
		time.Sleep(time.Duration(s.rand.ExpFloat64() * float64(2*time.Minute)))
	}
	s.ledger.set(false)
	s.fault(s.robot, sound)
	s.fault(s.mailbox, sound)
	time.Sleep(time.Hour) // two repeats and the quiet time
	s.stop()
	synctest.Wait()
}

func (s *schedule) fault(p *phone, f fault) {
	p.set(f)
	s.note("fault %q on the robot: %v", f, p == s.robot)
}

func (s *schedule) judge() {
	told := map[callback.IncidentKey]time.Time{} // the latest page
	counted := map[int64]int64{}
	copies := map[*phone]map[string]int{s.robot: {}, s.mailbox: {}}
	for _, p := range []*phone{s.robot, s.mailbox} {
		for _, m := range p.messages() {
			for _, page := range m.Pages {
				if !page.Class.Pages() {
					s.t.Errorf("a page about %s %s", page.Class, page.Reason)
				}
				if m.Written.After(told[page.IncidentKey]) {
					told[page.IncidentKey] = m.Written
				}
				counted[page.ID] = max(counted[page.ID], page.Count)
				copies[p][fmt.Sprint(page.IncidentKey, page.Occasion, page.Opened.Unix())]++
			}
		}
	}
	for _, f := range s.ledger.failures {
		if !f.class.Pages() {
			continue
		}
		if f.incident == 0 || told[f.key()].Before(f.at) {
			s.t.Errorf("a failure of %v at %s was never told; the latest page was at %s", f.key(), f.at, told[f.key()])
		}
	}
	for _, i := range s.ledger.incidents {
		if counted[i.ID] < i.Count && i.Rule == callback.RuleFailed {
			s.t.Errorf("incident %d has %d failures, the pages counted %d", i.ID, i.Count, counted[i.ID])
		}
	}
	if s.robot.muted > 0 {
		s.t.Errorf("the robot was muted %d times", s.robot.muted)
	}
	for p, list := range copies {
		for of, n := range list {
			if n > 1+s.crashes+s.outages+p.hits {
				s.t.Errorf("%d copies of %s, with %d crashes and %d faults met", n, of, s.crashes, p.hits)
			}
			if s.crashes+s.outages+s.faults == 0 && n > 1 && of[len(of)-1] != 0 && !repeats(of) {
				s.t.Errorf("%d copies of %s on a day without faults", n, of)
			}
		}
	}
	if s.t.Failed() {
		for _, line := range s.log {
			s.t.Log(line)
		}
	}
}

func repeats(of string) bool { return len(of) > 0 && contains(of, string(pager.Again)) }

func contains(s, part string) bool {
	for i := 0; i+len(part) <= len(s); i++ {
		if s[i:i+len(part)] == part {
			return true
		}
	}
	return false
}
