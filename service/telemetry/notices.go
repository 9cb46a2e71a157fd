package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

// noticeEvery is the least time between two notices once the first few are out.
const noticeEvery = 10 * time.Second

// notices tells the operator about faults of the telemetry itself. They go to
// stderr alone: through the exporters they would feed on themselves.
type notices struct {
	out     *slog.Logger
	limiter *rate.Limiter
	left    atomic.Int64 // not printed since the last one printed
}

func newNotices(h slog.Handler) *notices {
	return &notices{out: slog.New(h), limiter: rate.NewLimiter(rate.Every(noticeEvery), 3)}
}

// Handle is OpenTelemetry's error handler: failed exports arrive here.
func (n *notices) Handle(err error) {
	if err != nil {
		n.warn("telemetry fault: an export failed; callbacks are not affected, look at the collector named by OTEL_EXPORTER_OTLP_ENDPOINT", "cause", cause(err))
	}
}

// cause is the text of one of the SDK's errors without the values of variables
// that it likes to quote: headers hold tokens, and URLs can hold passwords.
func cause(err error) string {
	if u := (*url.Error)(nil); errors.As(err, &u) && u.Op == "parse" {
		err = u.Err
	}
	text := err.Error()
	if strings.HasPrefix(text, "invalid OTEL_") {
		text, _, _ = strings.Cut(text, " value ")
	}
	return mask(clip(text, 4*idLimit))
}

// complaints is the other way in which the SDK reports faults: its logger, for
// values of OTEL_* variables that it cannot use. By default it writes them to
// the process's stderr as they are.
type complaints struct{ notices *notices }

func (c complaints) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

func (c complaints) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		err, ok := a.Value.Any().(error)
		if ok {
			c.notices.warn("telemetry fault: "+r.Message, "cause", cause(err))
		}
		return !ok // the error comes first; the values that follow stay here
	})
	return nil
}

func (c complaints) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c complaints) WithGroup(string) slog.Handler      { return c }

func (n *notices) warn(text string, args ...any) {
	if !n.limiter.Allow() {
		n.left.Add(1)
		return
	}
	if left := n.left.Swap(0); left > 0 {
		args = append(args, FieldSuppressed, left)
	}
	n.out.WarnContext(context.Background(), text, args...) //nolint:sloglint // every caller passes a constant, but for the SDK's own
}

// atLeast drops records below a level.
type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

func (h atLeast) WithAttrs(a []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(a), h.level}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}

// traced adds the trace a line belongs to; the OTLP output has it anyway.
type traced struct{ slog.Handler }

func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h traced) WithAttrs(a []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(a)} }
func (h traced) WithGroup(name string) slog.Handler   { return traced{h.Handler.WithGroup(name)} }

// timestamp writes the time in UTC under the name that the record promises.
func timestamp(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Time("timestamp", a.Value.Time().UTC())
	}
	return a
}
