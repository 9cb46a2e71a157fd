package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// observe registers the gauges. They read memory and never wait.
func (t *Telemetry) observe(m metric.Meter) error {
	build := maker{meter: m}
	t.observeStore(&build)
	t.observeLocal(&build)
	t.observeKeys(&build)
	t.observeLosses(&build)
	t.observeIncidents(&build)
	return build.err
}

func (t *Telemetry) observeStore(build *maker) {
	failures := build.gauge(CallbackFailures)
	outstanding, amount, age := build.gauge(Outstanding), build.gauge(OutstandingAmount), build.secondsGauge(OutstandingAge)
	last, rows, snapshotAge := build.gauge(CallbackLast), build.gauge(StoreRows), build.secondsGauge(SnapshotAge)
	_, err := build.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		t.observeAge(o, snapshotAge)
		sum, ok := fresh(&t.memory.snapshot)
		if !ok {
			return nil
		}
		// Every series, zeros too: over OTLP a series that is just left out
		// keeps its last value for five minutes.
		for key, of := range t.series.failures {
			o.ObserveInt64(failures, sum.failures[key], of...)
		}
		for merchant, s := range t.series.merchants {
			// Never absent, so that silence cannot be taken for nothing missing.
			o.ObserveInt64(outstanding, 0, s.observe...)
			o.ObserveInt64(amount, 0, s.observe...)
			o.ObserveFloat64(age, 0, s.observe...)
			if at := sum.last[merchant]; !at.IsZero() {
				o.ObserveInt64(last, at.Unix(), s.observe...)
			}
		}
		for key, held := range sum.outstanding {
			of := set(attribute.String(LabelMerchant, key.merchant), attribute.String(LabelReason, string(key.reason)))
			o.ObserveInt64(outstanding, held.Count, of)
			o.ObserveInt64(amount, held.Amount, of)
			oldest := 0.0
			if held.Count > 0 {
				oldest = max(0, time.Since(held.Oldest).Seconds())
			}
			o.ObserveFloat64(age, oldest, of)
		}
		o.ObserveInt64(rows, sum.rows)
		return nil
	}, failures, outstanding, amount, age, last, rows, snapshotAge)
	build.failed(err)
}

// observeAge shows how old the numbers are, also when they are too old to be
// shown themselves.
func (t *Telemetry) observeAge(o metric.Observer, snapshotAge metric.Float64Observable) {
	if r := t.memory.snapshot.Load(); r != nil {
		o.ObserveFloat64(snapshotAge, time.Since(r.at).Seconds())
	} else if r := t.memory.watching.Load(); r != nil {
		o.ObserveFloat64(snapshotAge, time.Since(r.at).Seconds())
	}
}

func (t *Telemetry) observeLocal(build *maker) {
	spool, disk := build.gauge(SpoolUsed), build.gauge(DiskFree)
	_, err := build.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if local, ok := fresh(&t.memory.local); ok {
			o.ObserveInt64(spool, local.SpoolUsed)
			o.ObserveInt64(disk, local.DiskFree)
		}
		return nil
	}, spool, disk)
	build.failed(err)
}

func (t *Telemetry) observeKeys(build *maker) {
	expiry, used := build.gauge(KeyExpiry), build.gauge(KeyUsed)
	_, err := build.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		keys, _ := fresh(&t.memory.keys)
		for _, key := range keys {
			of := set(attribute.String(LabelMerchant, t.series.merchant(key.Merchant)),
				attribute.String(LabelKeyKind, string(key.Kind)), attribute.String(LabelKeyID, key.ID))
			if !key.Expires.IsZero() {
				o.ObserveInt64(expiry, key.Expires.Unix(), of)
			}
			if !key.Used.IsZero() {
				o.ObserveInt64(used, key.Used.Unix(), of)
			}
		}
		return nil
	}, expiry, used)
	build.failed(err)
}

func (t *Telemetry) observeLosses(build *maker) {
	row := build.row(TelemetryDropped, kindCounter)
	dropped, err := build.meter.Int64ObservableCounter(row.Name, metric.WithUnit(row.Unit), metric.WithDescription(row.Description))
	build.failed(err)
	of := func(signal string) metric.MeasurementOption { return set(attribute.String(LabelSignal, signal)) }
	spans, records, stderr := of("traces"), of("logs"), of("stderr")
	_, err = build.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(dropped, t.losses.spans.Load(), spans)
		o.ObserveInt64(dropped, t.losses.records.Load(), records)
		o.ObserveInt64(dropped, t.losses.stderr.Load(), stderr)
		return nil
	}, dropped)
	build.failed(err)
}
