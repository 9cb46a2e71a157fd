// Package callback holds the nouns of a WeChat Pay callback (支付回调) and the
// one verb: accept it.
//
// An [Envelope] is what came in over HTTP. An [Opener] turns it into a
// [Notification] or a [Refusal]; a [Recorder] makes either of them durable and
// hands back a [Receipt], the only thing a success answer can be built from.
// [Intake] strings the three together.
//
// Every other room imports this one, and this one imports only the standard
// library. It knows no HTTP server, no SQL, no OpenTelemetry and no keys.
package callback
