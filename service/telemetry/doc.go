// Package telemetry watches: it turns the classified facts that the other rooms
// return into spans, counters and one canonical log record per callback.
//
// It is a coat, not a rash: decorators around Accept, Open and Record, a hook
// for the store's commits, a sampler for the gauges. The logic below knows
// nothing of it, and OpenTelemetry is imported in no other room.
//
// It refuses to cost a callback anything. Everything that leaves the process
// goes through a bounded queue that drops and counts instead of waiting, and a
// fault in here is swallowed and counted. It refuses to let personal data or
// keys out: see [Fields] for all that a record can hold.
package telemetry
