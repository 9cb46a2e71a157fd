package smtp

import "time"

// Stage is a place in a sending where a fault can strike.
type Stage string

// The stages, in the order in which a sending meets them.
const (
	Connect   Stage = "connect"   // instead of the greeting
	Hello     Stage = "hello"     // EHLO
	StartTLS  Stage = "starttls"  // STARTTLS; broken: the handshake
	Login     Stage = "login"     // AUTH
	Sender    Stage = "sender"    // MAIL
	Recipient Stage = "recipient" // RCPT
	Data      Stage = "data"      // DATA, before the letter
	Middle    Stage = "middle"    // in the middle of the letter
	Dot       Stage = "dot"       // after the final dot: refused is not taken, broken is
	Farewell  Stage = "farewell"  // RSET or QUIT, when the letter is long taken
)

// Stages lists every stage.
func Stages() []Stage {
	return []Stage{Connect, Hello, StartTLS, Login, Sender, Recipient, Data, Middle, Dot, Farewell}
}

// Action is what a fault does.
type Action string

// The actions.
const (
	Refuse Action = "refuse" // answers the fault's code
	Hang   Action = "hang"   // answers nothing
	Reset  Action = "reset"  // breaks the connection
	Delay  Action = "delay"  // answers properly, but late
)

// Fault is a way to misbehave.
type Fault struct {
	Stage  Stage
	Action Action
	Code   int // of Refuse
	// Echo puts what the client has just said, secrets and all, into the answer.
	Echo bool
	// For is how long Delay waits.
	For time.Duration
	// Times is how often it strikes; 0: always.
	Times int
	// Only strikes a single recipient's address; empty: any.
	Only string
}

// Misbehave orders faults from now on, in place of those before.
func (s *Server) Misbehave(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append([]Fault(nil), faults...)
}

// fault is what strikes at a stage now, if anything.
func (s *Server) fault(at Stage, address string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.faults {
		f := &s.faults[i]
		if f.Stage != at || f.Only != "" && f.Only != address || f.Times < 0 {
			continue
		}
		struck := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				f.Times = -1 // spent
			}
		}
		s.struck++
		return struck, true
	}
	return Fault{}, false
}
