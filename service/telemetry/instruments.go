package telemetry

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/metric"
)

// instruments are the synchronous ones; the gauges live in gauges.go.
type instruments struct {
	processed metric.Int64Counter
	failed    metric.Int64Counter
	received  metric.Int64Counter
	duration  metric.Float64Histogram
	stage     metric.Float64Histogram
	batch     metric.Int64Histogram
	skew      metric.Float64Gauge
	pages     metric.Int64Counter
}

// Bucket edges. WeChat Pay gives up on an answer after 5 s, our own deadline is
// 2.5 s, and a healthy callback takes a few milliseconds.
var (
	seconds = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 2.5, 3, 4, 5}
	batches = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256}
)

func newInstruments(m metric.Meter) (instruments, error) {
	build := maker{meter: m}
	in := instruments{
		processed: build.counter(CallbackProcessed),
		failed:    build.counter(NotificationFailed),
		received:  build.counter(NotificationReceived),
		duration:  build.histogram(CallbackDuration),
		stage:     build.histogram(StageDuration),
		pages:     build.counter(PagerPages),
	}
	var err error
	batch := build.row(StoreBatch, kindHistogram)
	in.batch, err = m.Int64Histogram(batch.Name, metric.WithUnit(batch.Unit),
		metric.WithDescription(batch.Description), metric.WithExplicitBucketBoundaries(batches...))
	build.failed(err)
	skew := build.row(ClockSkew, kindGauge)
	in.skew, err = m.Float64Gauge(skew.Name, metric.WithUnit(skew.Unit), metric.WithDescription(skew.Description))
	build.failed(err)
	return in, build.err
}

// maker creates instruments from their rows in the contract, and keeps the
// errors until the end.
type maker struct {
	meter metric.Meter
	err   error
}

func (m *maker) failed(err error) { m.err = errors.Join(m.err, err) }

func (m *maker) row(name, kind string) Instrument {
	for _, in := range Instruments() {
		if in.Name == name && in.Kind == kind {
			return in
		}
	}
	m.failed(fmt.Errorf("%s %s is not in the contract", kind, name))
	return Instrument{Name: name}
}

func (m *maker) counter(name string) metric.Int64Counter {
	row := m.row(name, kindCounter)
	c, err := m.meter.Int64Counter(name, metric.WithUnit(row.Unit), metric.WithDescription(row.Description))
	m.failed(err)
	return c
}

func (m *maker) histogram(name string) metric.Float64Histogram {
	row := m.row(name, kindHistogram)
	h, err := m.meter.Float64Histogram(name, metric.WithUnit(row.Unit), metric.WithDescription(row.Description),
		metric.WithExplicitBucketBoundaries(seconds...))
	m.failed(err)
	return h
}

func (m *maker) gauge(name string) metric.Int64ObservableGauge {
	row := m.row(name, kindGauge)
	g, err := m.meter.Int64ObservableGauge(name, metric.WithUnit(row.Unit), metric.WithDescription(row.Description))
	m.failed(err)
	return g
}

func (m *maker) secondsGauge(name string) metric.Float64ObservableGauge {
	row := m.row(name, kindGauge)
	g, err := m.meter.Float64ObservableGauge(name, metric.WithUnit(row.Unit), metric.WithDescription(row.Description))
	m.failed(err)
	return g
}
