package pager_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/pager"
)

var (
	schedules = flag.Int("schedules", 100, "how many generated schedules the pager meets")
	firstSeed = flag.Uint64("seed", 1, "the first schedule's seed")
)

// TestSchedules: failures, faults of the channels, outages of the database and
// crashes, generated, on a virtual clock. Every failure is told, no message more
// than the faults explain, and the robot is never muted.
func TestSchedules(t *testing.T) {
	t.Parallel()
	const shards = 8
	for shard := range uint64(shards) {
		t.Run(fmt.Sprint(shard), func(t *testing.T) {
			t.Parallel()
			for seed := *firstSeed + shard; seed < *firstSeed+uint64(*schedules); seed += shards {
				synctest.Test(t, func(t *testing.T) {
					s := newSchedule(t, seed)
					s.play()
					s.judge()
				})
				if t.Failed() {
					t.Fatalf("schedule %d; alone: go test ./service/pager -run TestSchedules -seed %d -schedules 1", seed, seed)
				}
			}
		})
	}
}

// schedule is one generated course of events.
type schedule struct {
	t         *testing.T
	rand      *rand.Rand
	ledger    *ledger
	robot     *phone
	mailbox   *phone
	running   *process
	pager     *pager.Pager
	stop      context.CancelFunc
	faultless bool // nothing goes wrong but the callbacks
	calm      bool // besides, only the database goes away
	crashes   int
	outages   int
	log       []string
}

func newSchedule(t *testing.T, seed uint64) *schedule {
	s := &schedule{
		t: t, rand: rand.New(rand.NewPCG(seed, 1)), ledger: newLedger(),
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
	s.stop, s.pager = cancel, p
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
	s.faultless = s.rand.IntN(4) == 0
	s.calm = !s.faultless && s.rand.IntN(3) == 0
	for time.Now().Before(end) {
		switch roll := s.rand.IntN(20); {
		case roll < 12 || s.faultless:
			reason := reasons[s.rand.IntN(len(reasons))]
			class := reason.Classes()[s.rand.IntN(len(reason.Classes()))]
			merchant := merchants[s.rand.IntN(len(merchants))]
			for range 1 + s.rand.IntN(3)*s.rand.IntN(20) {
				s.fail(merchant, class, reason)
			}
			s.note("fail %s %s %s", merchant, class, reason)
		case roll < 13:
			s.storm(reasons)
		case roll < 14 && !s.calm:
			s.fault(s.robot, []fault{sound, refusing, hanging, lying}[s.rand.IntN(4)])
		case roll < 16 && !s.calm:
			s.fault(s.mailbox, []fault{sound, refusing, hanging, lying}[s.rand.IntN(4)])
		case roll < 18:
			down := s.rand.IntN(2) == 0
			if down {
				s.outages++
			}
			s.ledger.set(down)
			s.note("database down: %v", down)
		case !s.calm:
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

// fail lets a callback fail in the running process.
func (s *schedule) fail(merchant string, class callback.Class, reason callback.Reason) {
	s.ledger.fail(merchant, class, reason)
	s.pager.Hear(merchant, class, reason)
}

// storm makes more incidents in a minute than the robot bears messages.
func (s *schedule) storm(reasons []callback.Reason) {
	s.note("storm")
	for n := range 40 {
		s.fail(fmt.Sprint("branch-", n), callback.Proven, reasons[s.rand.IntN(len(reasons))])
		time.Sleep(time.Second)
	}
}

func (s *schedule) fault(p *phone, f fault) {
	p.set(f)
	s.note("fault %q on the robot: %v", f, p == s.robot)
}

// copied is what no channel should get twice without a cause.
type copied struct {
	incident int64
	key      callback.IncidentKey
	occasion pager.Occasion
	count    int64
}

// judge holds every message against every failure. That something is over tells
// nobody that it fails: it may count what failed before the quiet time, of an
// incident that people were told of, and nothing else.
func (s *schedule) judge() {
	told := map[callback.IncidentKey][]time.Time{} // that it fails
	over := map[callback.IncidentKey][]time.Time{} // as of when
	counted := map[int64]int64{}
	for _, p := range []*phone{s.robot, s.mailbox} {
		copies := map[copied]int{}
		for _, m := range p.messages() {
			for _, page := range m.Pages {
				if !page.Class.Pages() {
					s.t.Errorf("a page about %s %s", page.Class, page.Reason)
				}
				if page.Occasion == pager.Over {
					over[page.IncidentKey] = append(over[page.IncidentKey], m.Written.Add(-15*time.Minute))
					s.judgeOver(page, m.Written)
				} else {
					told[page.IncidentKey] = append(told[page.IncidentKey], m.Written)
				}
				counted[page.ID] = max(counted[page.ID], page.Count)
				copies[copied{page.ID, page.IncidentKey, page.Occasion, page.Count}]++
			}
		}
		for of, n := range copies {
			// Of what the database did not know, each outage may be told anew.
			if n > 1+s.crashes+s.outages+p.hits {
				s.t.Errorf("%d copies of %+v, with %d crashes, %d outages and %d faults met", n, of, s.crashes, s.outages, p.hits)
			}
		}
	}
	for _, f := range s.ledger.failures {
		if !f.class.Pages() {
			continue
		}
		later := func(at time.Time) bool { return !at.Before(f.at) }
		if f.incident == 0 || len(told[f.key()]) == 0 || !slices.ContainsFunc(told[f.key()], later) && !slices.ContainsFunc(over[f.key()], later) {
			s.t.Errorf("a failure of %v at %s was never told; the pages were at %v, over as of %v", f.key(), f.at, told[f.key()], over[f.key()])
		}
	}
	for _, i := range s.ledger.incidents {
		if counted[i.ID] < i.Count {
			s.t.Errorf("incident %d has %d failures, the pages counted %d", i.ID, i.Count, counted[i.ID])
		}
	}
	if s.robot.muted > 0 {
		s.t.Errorf("the robot was muted %d times", s.robot.muted)
	}
	if s.faultless || s.calm {
		s.judgeSpeed()
	}
	if s.faultless {
		s.judgeStrictly()
	}
	if s.t.Failed() {
		for _, line := range s.log {
			s.t.Log(line)
		}
	}
}

// judgeOver: what is said to be over has been quiet for as long as is said.
func (s *schedule) judgeOver(page pager.Page, written time.Time) {
	quiet := int64(0)
	for _, f := range s.ledger.failures {
		if f.incident == page.ID && written.Sub(f.at) >= 15*time.Minute {
			quiet++
		}
	}
	if page.Count > quiet {
		s.t.Errorf("at %s it was over with %d failures of %v, %d of them before the quiet time", written, page.Count, page.IncidentKey, quiet)
	}
}

// judgeStrictly: without faults every incident is told within seconds, once when
// it opens and once when it is over, on each channel.
func (s *schedule) judgeStrictly() {
	for _, p := range []*phone{s.robot, s.mailbox} {
		for _, i := range s.ledger.incidents {
			var opened, over, again int
			for _, page := range p.pages(i.IncidentKey) {
				if page.ID != i.ID {
					continue
				}
				switch page.Occasion {
				case pager.Opened:
					opened++
				case pager.Over:
					over++
					if m := p.when(page); m.Sub(i.Latest) < 15*time.Minute {
						s.t.Errorf("incident %+v was over at %s", i, m)
					}
				case pager.Again:
					again++
				}
			}
			// It lasted from the first to the latest failure, and is repeated only then.
			if most := int(i.Latest.Sub(i.Opened)/(30*time.Minute)) + 1; opened != 1 || over != 1 || again > most {
				s.t.Errorf("incident %+v: opened %d times, over %d times, again %d times", i, opened, over, again)
			}
		}
	}
}

// judgeSpeed: with a channel that works, what nobody knows of is told within
// seconds, also while the database is away; nobody knows of what they were told is
// over. What joins an incident is counted by its next repetition, or by its end.
func (s *schedule) judgeSpeed() {
	type told struct {
		at   time.Time
		over bool
	}
	pages := map[callback.IncidentKey][]told{}
	for _, m := range s.mailbox.messages() {
		for _, page := range m.Pages {
			pages[page.IncidentKey] = append(pages[page.IncidentKey], told{m.Written, page.Occasion == pager.Over})
		}
	}
	for _, f := range s.ledger.failures {
		if !f.class.Pages() {
			continue
		}
		unknown, promised := true, 30*time.Minute
		if f.class == callback.Unproven {
			promised = 4 * time.Hour
		}
		for _, page := range pages[f.key()] {
			if page.at.Before(f.at) {
				unknown = page.over
			}
		}
		if unknown {
			promised = 0
		}
		if !slices.ContainsFunc(pages[f.key()], func(page told) bool {
			after := page.at.Sub(f.at)
			return after >= 0 && after <= promised+3*time.Second && (!page.over || after >= 15*time.Minute)
		}) {
			s.t.Errorf("a failure of %v at %s, unknown: %v, was not told in time: %v", f.key(), f.at, unknown, pages[f.key()])
		}
	}
}
