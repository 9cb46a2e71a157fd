// Package wechatpay opens WeChat Pay callbacks: it proves who sent an envelope,
// decrypts it, and says what it is about.
//
// The [Opener] knows each merchant's keys. For APIv3 it verifies the RSA
// signature over the raw bytes, judges the time window, decrypts the resource
// and reads it; for APIv2 it checks the shared-key signature of a payment
// notice or decrypts a refund notice. Whatever it does not accept it refuses
// with a [callback.Refusal], and where a refused message opens with a
// merchant's key it says so: diagnosis, never acceptance.
//
// The package opens no connection, keeps no clock (the envelope's own arrival
// time is the clock, so a stored callback can be opened again) and writes no
// log. What it returns carries no key, no payer and no text a sender wrote.
//
// Protocol: https://pay.weixin.qq.com/doc/v3/merchant/4012791836 (v3),
// https://pay.weixin.qq.com/doc/v2/merchant/4011937248 (v2).
package wechatpay
