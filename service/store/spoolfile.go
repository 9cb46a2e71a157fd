package store

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
)

// The spool file is a mark and one preallocated run of frames. A frame is a
// header and a payload; the frames of one generation follow each other from the
// start. What does not continue the run (a torn write, an older generation,
// zeros) ends it. The mark is a frame without payload, whose generation is that
// of the run that was imported last: its frames still lie in the file.
//
//	magic 4 | payload length 4 | generation 8 | number 4 | CRC-32C 4 | payload
//
// The checksum covers the header before it and the payload.
const (
	frameMagic  = 0x77785331 // "wxS1"
	frameHeader = 24
	frameMax    = 16 << 20 // no body is near this; a longer length is damage

	spoolStart = frameHeader    // of the run, behind the mark
	markNumber = math.MaxUint32 // no frame of a run has it
)

// errSpoolFull is why an arrival is only counted.
var errSpoolFull = errors.New("store: the spool is full")

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// frame lays out one payload.
func frame(generation uint64, number uint32, payload []byte) []byte {
	b := make([]byte, frameHeader, frameHeader+len(payload))
	binary.BigEndian.PutUint32(b[0:], frameMagic)
	binary.BigEndian.PutUint32(b[4:], uint32(len(payload)))
	binary.BigEndian.PutUint64(b[8:], generation)
	binary.BigEndian.PutUint32(b[16:], number)
	b = append(b, payload...)
	sum := crc32.Update(crc32.Checksum(b[:20], castagnoli()), castagnoli(), payload)
	binary.BigEndian.PutUint32(b[20:], sum)
	return b
}

// errNoFrame ends a run of frames. It is not a failure.
var errNoFrame = errors.New("store: no further frame")

// readMark tells which run was imported last; 0: none.
func readMark(r io.ReaderAt, size int64) (generation uint64, err error) {
	_, generation, number, err := parseFrame(r, 0, size)
	if errors.Is(err, errNoFrame) || err == nil && number != markNumber {
		return 0, nil
	}
	return generation, err
}

// readFrame reads the frame of a run that must be at this place.
func readFrame(r io.ReaderAt, at spoolMark, size int64, generation uint64) (payload []byte, err error) {
	payload, gen, number, err := parseFrame(r, at.offset, size)
	if err == nil && (number != at.number || gen != generation) {
		err = errNoFrame
	}
	return payload, err
}

// parseFrame reads whatever frame is at offset.
func parseFrame(r io.ReaderAt, offset, size int64) (payload []byte, generation uint64, number uint32, err error) {
	var h [frameHeader]byte
	if offset+frameHeader > size {
		return nil, 0, 0, errNoFrame
	}
	if err := readFull(r, h[:], offset); err != nil {
		return nil, 0, 0, err
	}
	length := int64(binary.BigEndian.Uint32(h[4:]))
	if binary.BigEndian.Uint32(h[0:]) != frameMagic || length > frameMax || offset+frameHeader+length > size {
		return nil, 0, 0, errNoFrame
	}
	payload = make([]byte, length)
	if err := readFull(r, payload, offset+frameHeader); err != nil {
		return nil, 0, 0, err
	}
	sum := crc32.Update(crc32.Checksum(h[:20], castagnoli()), castagnoli(), payload)
	if binary.BigEndian.Uint32(h[20:]) != sum {
		return nil, 0, 0, errNoFrame
	}
	return payload, binary.BigEndian.Uint64(h[8:]), binary.BigEndian.Uint32(h[16:]), nil
}

// findRun tells where the run begins and its generation. The run that was
// imported last is none, and neither are zeros; a damaged first frame is skipped.
func findRun(r io.ReaderAt, size int64, imported uint64) (at spoolMark, generation uint64, err error) {
	at.offset = spoolStart
	var h [frameHeader]byte
	if err := readFull(r, h[:], at.offset); err != nil || h == ([frameHeader]byte{}) {
		return at, 0, cmp.Or(err, errNoFrame)
	}
	_, generation, number, err := parseFrame(r, at.offset, size)
	switch {
	case errors.Is(err, errNoFrame), err == nil && number != 0:
		at.number = 1
		return resync(r, at, size, func(generation uint64) bool { return generation != imported })
	case err == nil && generation == imported:
		err = errNoFrame
	}
	return at, generation, err
}

// resync looks behind damage for where the run goes on: the next sound frame
// that belongs to it.
func resync(r io.ReaderAt, from spoolMark, size int64, belongs func(generation uint64) bool) (spoolMark, uint64, error) {
	magic := binary.BigEndian.AppendUint32(nil, frameMagic)
	window := make([]byte, 1<<20)
	for at := from.offset + 1; at+frameHeader <= size; {
		n, err := r.ReadAt(window[:min(int64(len(window)), size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return from, 0, fmt.Errorf("store: reading the spool: %w", err)
		}
		for next := 0; ; next++ {
			i := bytes.Index(window[next:n], magic)
			if i < 0 {
				break
			}
			next += i
			_, gen, number, err := parseFrame(r, at+int64(next), size)
			if err == nil && belongs(gen) && number >= from.number {
				return spoolMark{offset: at + int64(next), number: number}, gen, nil
			}
		}
		at += max(int64(n-len(magic)+1), 1) // a magic may lie across two windows
	}
	return from, 0, errNoFrame
}

// readFull takes an end of file for the end of the run: the file was cut.
func readFull(r io.ReaderAt, b []byte, offset int64) error {
	n, err := r.ReadAt(b, offset)
	switch {
	case n == len(b):
		return nil
	case errors.Is(err, io.EOF):
		return errNoFrame
	}
	return fmt.Errorf("store: reading the spool: %w", err)
}

// preallocate writes zeros up to size. A hole would still need blocks when the
// disk is full, which is just when the spool is needed.
func preallocate(f *os.File, size int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	zeros := make([]byte, 1<<20)
	for at := info.Size(); at < size; {
		n, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at)
		if err != nil {
			return err
		}
		at += int64(n)
	}
	return f.Sync()
}

// newGeneration need only differ from those whose frames still lie in the file.
func newGeneration() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: https://pkg.go.dev/crypto/rand#Read
	return binary.BigEndian.Uint64(b[:])
}
