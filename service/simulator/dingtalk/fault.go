package dingtalk

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Fault is a way to misbehave.
type Fault string

// The faults. Each but Slow keeps the message from being taken.
const (
	Sound       Fault = ""             // none
	ErrorCode   Fault = "errcode"      // HTTP 200, and a code that is not 0
	Hang        Fault = "hang"         // no answer
	Reset       Fault = "reset"        // the connection breaks before the answer
	ServerError Fault = "server_error" // 502 of a proxy
	Slow        Fault = "slow"         // taken, and answered late
	Redirect    Fault = "redirect"     // sent on to somebody else
	InvalidJSON Fault = "invalid_json" // 200 with a web page
	NoCode      Fault = "no_errcode"   // 200 with JSON of something else
	Echo        Fault = "echo"         // refused, and the answer quotes address and body
	BrokenTLS   Fault = "broken_tls"   // the handshake fails; without TLS as Reset
	Lost        Fault = "lost_answer"  // taken, and the connection breaks before the answer
)

// Faults lists every fault.
func Faults() []Fault {
	return []Fault{ErrorCode, Hang, Reset, ServerError, Slow, Redirect, InvalidJSON, NoCode, Echo, BrokenTLS, Lost}
}

// Trouble is a fault as it is ordered.
type Trouble struct {
	Fault Fault `json:"fault"`
	// Code is that of [ErrorCode]; 0: [CodeBusy].
	Code int `json:"code"`
	// Times is how many messages it hits; 0: all, until something else is ordered.
	Times int `json:"times"`
	// Wait is how late [Slow] answers; 0: 2 s.
	Wait time.Duration `json:"-"`
}

// known reports whether the trouble can be made.
func (t Trouble) known() bool {
	return t.Fault == Sound || slices.Contains(Faults(), t.Fault)
}

// strike does what is ordered to a message. It reports whether the message goes
// on to be judged, and whether its answer is to be lost.
func (r *Robot) strike(t Trouble, w http.ResponseWriter, q *http.Request, body []byte) (goOn, lose bool) {
	switch t.Fault {
	case ErrorCode:
		code := t.Code
		if code == CodeOK {
			code = CodeBusy
		}
		answer(w, code, "")
	case Hang:
		<-q.Context().Done()
		panic(http.ErrAbortHandler)
	case Reset, BrokenTLS:
		panic(http.ErrAbortHandler)
	case ServerError:
		http.Error(w, "<html><h1>502 Bad Gateway</h1></html>", http.StatusBadGateway)
	case Slow:
		wait := t.Wait
		if wait == 0 {
			wait = 2 * time.Second
		}
		late := time.NewTimer(wait)
		defer late.Stop()
		select {
		case <-late.C:
		case <-q.Context().Done():
		}
		return true, false
	case Redirect:
		// With all of the query: who follows hands the token on.
		http.Redirect(w, q, "/elsewhere?"+q.URL.RawQuery, http.StatusTemporaryRedirect)
	case InvalidJSON:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>Sign in to the hotel's WLAN</title>")
	case NoCode:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"success":true}`)
	case Echo:
		answer(w, CodeSecurity, "cannot take "+q.URL.String()+" with "+strings.ToValidUTF8(string(body), ""))
	case Lost:
		return true, true
	default:
		return true, false
	}
	return false, false
}
