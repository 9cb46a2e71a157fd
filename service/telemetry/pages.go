package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"wxnotify/service/callback"
)

// Pages counts the messages that go to people on one channel. The channel's
// name is an operator's, from the configuration.
func Pages[Message any](t *Telemetry, channel string, send func(context.Context, Message) error) func(context.Context, Message) error {
	of := func(outcome callback.Outcome) metric.AddOption {
		return set(attribute.String(LabelChannel, channel), attribute.String(LabelOutcome, string(outcome)))
	}
	taken, failed := of(callback.Accepted), of(callback.Failed)
	// A series that is born at 1 never shows in increase().
	t.inst.pages.Add(context.Background(), 0, taken)
	t.inst.pages.Add(context.Background(), 0, failed)
	return func(ctx context.Context, m Message) error {
		err := send(ctx, m)
		if err != nil {
			t.inst.pages.Add(ctx, 1, failed)
			t.notices.warn("a channel did not take a message", "channel", channel, "cause", mask(clip(err.Error(), 512)))
			return err
		}
		t.inst.pages.Add(ctx, 1, taken)
		return nil
	}
}

// WatchIncidents shows how many incidents are open, and whether people were told.
func (t *Telemetry) WatchIncidents(count func() (told, untold int64)) {
	t.memory.incidents.Store(&count)
}

func (t *Telemetry) observeIncidents(build *maker) {
	incidents := build.gauge(PagerIncidents)
	told, untold := set(attribute.String(LabelState, "told")), set(attribute.String(LabelState, "untold"))
	_, err := build.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if count := t.memory.incidents.Load(); count != nil {
			a, b := (*count)()
			o.ObserveInt64(incidents, a, told)
			o.ObserveInt64(incidents, b, untold)
		}
		return nil
	}, incidents)
	build.failed(err)
}
