// Package store remembers. It makes every callback durable before its answer,
// moves each order exactly once, and knows which money is missing.
//
// One goroutine writes: it takes what waits, writes it in one transaction and
// releases everybody who waited (group commit). A [callback.Receipt] is made
// there and nowhere else, after the commit. When the database cannot confirm,
// the arrival goes to the spool: a preallocated file that is read back by id
// as soon as the database works again.
//
//	Record  → queue → batch → one transaction → Receipt
//	              └── late, full, down → spool → import → audit row
//
// The room does not verify, decrypt, log, count or page: it returns facts.
package store
