package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"

	"wxnotify/service/simulator/wechat"
)

// quietPause is how often progress is told where it cannot be overwritten.
const quietPause = 5 * time.Second

// overwriting returns a function that shows progress: on a terminal one line
// that replaces the one before, elsewhere a line now and then. An empty text
// ends it.
func overwriting(w io.Writer) func(text string) {
	if f, ok := w.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		return func(text string) {
			if text == "" {
				text = "\n"
			}
			fmt.Fprintf(w, "\r\x1b[K%s", text)
		}
	}
	var last time.Time
	return func(text string) {
		if now := time.Now(); text == "" || now.Sub(last) >= quietPause {
			last = now
			fmt.Fprintln(w, text)
		}
	}
}

// progress says how far a mix is.
func progress(r wechat.Report, since, until time.Duration) string {
	text := fmt.Sprintf("%4.0fs  sent %d  acknowledged %d  repeated %d  waiting for a re-send %d",
		since.Seconds(), r.Sendings, r.Acknowledged, r.Repeats, r.Pending)
	if until > 0 && since > until {
		text += "  (draining)"
	}
	return text
}
