package main

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// frame is a function with what it called, in a flame graph.
type frame struct {
	name  string
	spent time.Duration
	calls map[string]*frame
}

func (f *frame) call(name string, spent time.Duration) *frame {
	if f.calls == nil {
		f.calls = map[string]*frame{}
	}
	c := f.calls[name]
	if c == nil {
		c = &frame{name: name}
		f.calls[name] = c
	}
	c.spent += spent
	return c
}

// readTraces reads what `go tool pprof -traces` writes: for each stack the time
// and the innermost function on one line, then its callers.
func readTraces(r io.Reader) (*frame, error) {
	root := &frame{name: "all"}
	var stack []string
	var spent time.Duration
	put := func() {
		root.spent += spent
		at := root
		for _, name := range slices.Backward(stack) {
			at = at.call(name, spent)
		}
		stack, spent = nil, 0
	}
	lines, body := bufio.NewScanner(r), false
	for lines.Scan() {
		line := strings.TrimSpace(strings.TrimSuffix(lines.Text(), " (inline)"))
		switch {
		case strings.HasPrefix(line, "-----"):
			put()
			body = true
		case !body || line == "":
		case len(stack) == 0:
			took, name, _ := strings.Cut(line, " ")
			var err error
			if spent, err = time.ParseDuration(took); err != nil {
				return nil, err
			}
			stack = append(stack, strings.TrimSpace(name))
		default:
			stack = append(stack, line)
		}
	}
	put()
	return root, lines.Err()
}

// Measures of the picture, in pixels.
const (
	flameWidth = 1200
	flameLine  = 16
	flameLeast = 2 // what is narrower is left out
	flameChar  = 6.2
)

// svg draws the graph with the callers below; a browser shows a function's share
// when it is pointed at.
func (f *frame) svg(w io.Writer, title string) error {
	height := (f.depth() + 1) * flameLine
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="monospace" font-size="10">`+"\n", flameWidth, height)
	fmt.Fprintf(out, `<rect width="100%%" height="100%%" fill="#fff"/><text x="4" y="12">%s</text>`+"\n", html.EscapeString(title))
	f.draw(out, 0, height-flameLine, flameWidth/float64(f.spent), f.spent)
	fmt.Fprintln(out, "</svg>")
	return out.Flush()
}

func (f *frame) width(scale float64) float64 { return float64(f.spent) * scale }

// depth counts the lines of what is wide enough to be drawn.
func (f *frame) depth() int { return f.deep(flameWidth / float64(f.spent)) }

func (f *frame) deep(scale float64) (most int) {
	for _, c := range f.calls {
		if c.width(scale) >= flameLeast {
			most = max(most, c.deep(scale))
		}
	}
	return most + 1
}

func (f *frame) draw(w io.Writer, x float64, y int, scale float64, all time.Duration) {
	width := f.width(scale)
	short := f.name[strings.LastIndexByte(f.name, '/')+1:]
	if fits := int(width/flameChar) - 1; len(short) > fits {
		short = short[:max(fits, 0)]
	}
	fmt.Fprintf(w, `<g><title>%s %.1f%%</title><rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d">%s</text></g>`+"\n",
		html.EscapeString(f.name), 100*float64(f.spent)/float64(all), x, y, width-0.5, flameLine-1, f.colour(), x+2, y+11, html.EscapeString(short))
	for _, name := range slices.Sorted(maps.Keys(f.calls)) {
		c := f.calls[name]
		if c.width(scale) >= flameLeast {
			c.draw(w, x, y-flameLine, scale, all)
		}
		x += c.width(scale)
	}
}

// colour tells whose code it is.
func (f *frame) colour() string {
	for _, c := range []struct{ part, colour string }{
		{"wxnotify/", "#ffd27f"},
		{"opentelemetry", "#9fc9ff"},
		{"google.golang.org", "#9fc9ff"},
		{"log/slog", "#9fc9ff"},
		{"sqlite", "#b7e3a8"},
		{"database/sql", "#b7e3a8"},
		{"sqlx", "#b7e3a8"},
		{"pgx", "#b7e3a8"},
		{"mysql", "#b7e3a8"},
		{"crypto", "#f3a6a6"},
		{"net/http", "#e0d0f0"},
		{"runtime", "#dddddd"},
	} {
		if strings.Contains(f.name, c.part) {
			return c.colour
		}
	}
	return "#eeeeee"
}

func TestFlameGraph(t *testing.T) {
	t.Parallel()
	graph, err := readTraces(strings.NewReader(`Type: cpu
-----------+----------
      10ms   crypto/rsa.Verify (inline)
             wxnotify/service.open
             main.main
-----------+----------
      30ms   modernc.org/sqlite/lib.step
             main.main
`))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := graph.svg(&b, "a <title>"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`viewBox="0 0 1200 80"`, "a &lt;title&gt;", "all 100.0%", "main.main 100.0%", "crypto/rsa.Verify 25.0%",
		`modernc.org/sqlite/lib.step 75.0%</title><rect x="0.0" y="32" width="899.5"`,
		`wxnotify/service.open 25.0%</title><rect x="900.0" y="32" width="299.5"`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
