package store

import (
	"bytes"
	"time"
)

// Clean is what text that strangers choose goes through.
func Clean(s string, limit int) string { return clean(s, limit) }

// OlderVersion compares engine versions.
func OlderVersion(v, than string) bool { return olderVersion(v, than) }

// SpoolStart is where the run of frames begins.
const SpoolStart = spoolStart

// Frames reads the run of frames in a spool file.
func Frames(content []byte) (payloads [][]byte, generation uint64) {
	r, size := bytes.NewReader(content), int64(len(content))
	imported, err := readMark(r, size)
	if err != nil {
		return nil, 0
	}
	at, generation, err := findRun(r, size, imported)
	if err != nil || at.number > 0 {
		return nil, 0
	}
	for {
		payload, err := readFrame(r, at, size, generation)
		if err != nil {
			return payloads, generation
		}
		payloads = append(payloads, payload)
		at = spoolMark{offset: at.offset + frameHeader + int64(len(payload)), number: at.number + 1}
	}
}

// Frame lays out one payload as the spool does.
func Frame(generation uint64, number uint32, payload []byte) []byte {
	return frame(generation, number, payload)
}

// Disk is what the spool does with its file.
type Disk = disk

// OnDisk puts something in front of the spool's file.
func (o *Options) OnDisk(wrap func(Disk) Disk) { o.disk = wrap }

// IndexedQueries are the queries that must not read a whole table.
func IndexedQueries(o Options) []string {
	engine, err := dialectOf(o)
	if err != nil {
		return nil
	}
	return []string{
		sqlFailures, sqlOutstanding, engine.latest, sqlUntold, sqlClaim, sqlClaimed, sqlFactAmounts, sqlFactOrders, sqlFactCount, sqlFactPeers, sqlFactTraces,
		"SELECT " + sqlNoticeColumns + sqlOpen, sqlOpenAmounts + sqlOpen + sqlSumAmounts, "SELECT first_at" + sqlOpen + " AND merchant = ? ORDER BY first_at",
		engine.find(), sqlRefundCounted,
	}
}

// ChunkFor is how many rows the next purging transaction looks at.
func ChunkFor(last int64, worked time.Duration) int64 { return chunkFor(last, worked) }

// RestFor is how long purging rests then.
func RestFor(took, behind time.Duration) time.Duration { return restFor(took, behind) }

// PurgingStatements are what deletes old callbacks, a chunk at a time.
func PurgingStatements() []string { return []string{sqlPurgeNext, sqlPurge, sqlPurgeLatest} }

// DSN is the data source name of a reader.
func DSN(o Options) string {
	engine, err := dialectOf(o)
	if err != nil {
		return err.Error()
	}
	dsn, err := engine.reader(o)
	if err != nil {
		return err.Error()
	}
	return dsn
}
