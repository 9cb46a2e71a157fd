package store

import (
	"bytes"
)

// Clean is what text that strangers choose goes through.
func Clean(s string, limit int) string { return clean(s, limit) }

// OlderVersion compares engine versions.
func OlderVersion(v, than string) bool { return olderVersion(v, than) }

// Frames reads the run of frames at the start of a spool file.
func Frames(content []byte) (payloads [][]byte, generation uint64) {
	var at int64
	for {
		payload, g, err := readFrame(bytes.NewReader(content), at, int64(len(content)), generation, uint32(len(payloads)))
		if err != nil {
			return payloads, generation
		}
		generation = g
		at += frameHeader + int64(len(payload))
		payloads = append(payloads, payload)
	}
}

// Frame lays out one payload as the spool does.
func Frame(generation uint64, number uint32, payload []byte) []byte {
	return frame(generation, number, payload)
}

// IndexedQueries are the queries that must not read a whole table.
func IndexedQueries() []string {
	return []string{
		sqlFailures, sqlOutstanding, sqlLast, "SELECT " + sqlNoticeColumns + sqlOpen,
		sqlFind,
	}
}
