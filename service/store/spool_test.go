package store_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"wxnotify/service/callback"
	"wxnotify/service/store"
	"wxnotify/service/store/storetest"
)

// spooled makes a spool file with that many payments in it, and closes it as a
// killed process would leave it.
func spooled(t *testing.T, entries int) (o store.Options, content []byte) {
	t.Helper()
	o = sqlite().Options(t)
	o.SpoolSize = 64 << 10
	var faults storetest.Faults
	o.Open = faults.Open
	db := mustOpen(t, o)
	faults.Break()
	for i := range entries {
		_, err := db.Record(t.Context(), storetest.Arrive(storetest.Payment(fmt.Sprint(i), 100)))
		if err == nil || !callback.AsRefusal(err).Trail.Spooled {
			t.Fatalf("not spooled: %v", err)
		}
	}
	content, err := os.ReadFile(o.SpoolPath)
	if err != nil {
		t.Fatal(err)
	}
	o = sqlite().Options(t) // a fresh database beside it
	o.SpoolSize = int64(len(content))
	return o, content
}

func TestSpoolDamage(t *testing.T) {
	t.Parallel()
	const entries = 5
	_, sound := spooled(t, entries)
	frames, _ := store.Frames(sound)
	if len(frames) != entries {
		t.Fatalf("%d frames", len(frames))
	}
	used := store.SpoolStart
	var ends []int
	for _, f := range frames {
		used += len(store.Frame(0, 0, f))
		ends = append(ends, used)
	}
	for name, c := range map[string]struct {
		damage func(b []byte) []byte
		want   int
		lost   int64 // entries that were there and cannot be read: told, not hidden
	}{
		"none":                     {func(b []byte) []byte { return b }, 5, 0},
		"cut at the last byte":     {func(b []byte) []byte { return b[:used-1] }, 4, 0},
		"cut in a header":          {func(b []byte) []byte { return b[:ends[3]+10] }, 4, 0},
		"cut to nothing":           {func([]byte) []byte { return nil }, 0, 0},
		"torn: half of it zeros":   {func(b []byte) []byte { clear(b[used-100 : used]); return b }, 4, 0},
		"a flipped bit":            {func(b []byte) []byte { b[ends[1]+40] ^= 1; return b }, 4, 1},
		"the first header":         {func(b []byte) []byte { b[store.SpoolStart+2] ^= 1; return b }, 4, 1},
		"two in a row":             {func(b []byte) []byte { clear(b[ends[0]:ends[2]]); return b }, 3, 2},
		"an absurd length":         {func(b []byte) []byte { b[ends[2]+4] = 0xff; return b }, 4, 1},
		"a frame of another run":   {func(b []byte) []byte { copy(b[ends[3]:], store.Frame(42, 4, []byte("{}"))); return b }, 4, 0},
		"an entry that is no JSON": {func(b []byte) []byte { return append(b[:store.SpoolStart], store.Frame(42, 0, []byte("junk"))...) }, 0, 1},
		"the mark":                 {func(b []byte) []byte { copy(b, "junk"); return b }, 5, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := sqlite().Options(t)
			o.SpoolSize = int64(len(sound))
			if err := os.WriteFile(o.SpoolPath, c.damage(bytes.Clone(sound)), 0o600); err != nil {
				t.Fatal(err)
			}
			db := mustOpen(t, o)
			if n := number(t, sqlite().Raw(t, o).DB, `SELECT count(*) FROM callbacks`); n != c.want {
				t.Errorf("%d imported, want %d", n, c.want)
			}
			if h := db.Health(t.Context()); h.SpoolUsed != 0 || h.Spool != nil || h.Lost != c.lost {
				t.Errorf("health %+v, want %d lost", h, c.lost)
			}
		})
	}
}

// A run that was imported is not read again, although its bytes lie in the file.
func TestSpoolIsEmptied(t *testing.T) {
	t.Parallel()
	o, content := spooled(t, 3)
	if err := os.WriteFile(o.SpoolPath, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, o).Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(o.SpoolPath)
	if err != nil {
		t.Fatal(err)
	}
	if frames, _ := store.Frames(after); len(frames) != 0 {
		t.Errorf("%d frames left", len(frames))
	}
	o.Path += ".fresh"
	mustOpen(t, o)
	if n := number(t, sqlite().Raw(t, o).DB, `SELECT count(*) FROM callbacks`); n != 0 {
		t.Errorf("%d imported twice", n)
	}
}

// FuzzSpool: no content makes the reader panic, and what it reads is what a
// writer wrote.
func FuzzSpool(f *testing.F) {
	one := append(make([]byte, store.SpoolStart), store.Frame(7, 0, []byte(`{"ID":"1"}`))...)
	two := append(bytes.Clone(one), store.Frame(7, 1, []byte(`{"ID":"2"}`))...)
	for _, seed := range [][]byte{nil, one, two, two[:len(two)-1], append(bytes.Clone(one), store.Frame(8, 1, nil)...), make([]byte, 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		payloads, generation := store.Frames(content)
		again := content[:min(store.SpoolStart, len(content)):min(store.SpoolStart, len(content))]
		for i, p := range payloads {
			again = append(again, store.Frame(generation, uint32(i), p)...)
		}
		if !bytes.HasPrefix(content, again) {
			t.Error("read what was not written")
		}
	})
}

func TestClean(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := string(rapid.SliceOf(rapid.Byte()).Draw(t, "text"))
		limit := rapid.IntRange(0, 20).Draw(t, "limit")
		out := store.Clean(in, limit)
		if len(out) > limit || !utf8.ValidString(out) || bytes.ContainsRune([]byte(out), 0) {
			t.Fatalf("%q", out)
		}
		if plain := rapid.StringMatching(`[a-z]{0,5}`).Draw(t, "plain"); len(plain) <= limit && store.Clean(plain, limit) != plain {
			t.Fatalf("changed %q", plain)
		}
	})
}

func TestOlderVersion(t *testing.T) {
	t.Parallel()
	for v, want := range map[string]bool{
		"3.51.3": false, "3.51.4": false, "3.52.0": false, "4.0.0": false, "3.100.0": false,
		"3.51.2": true, "3.50.9": true, "2.99.99": true, "3.51": true, "": true, "x": true,
	} {
		if got := store.OlderVersion(v, "3.51.3"); got != want {
			t.Errorf("%q: %v", v, got)
		}
	}
}

// A first frame that was torn does not bring back the run before it, which was
// imported; but a run of which only the first frame is damaged is found.
func TestSpoolTornFirstFrame(t *testing.T) {
	t.Parallel()
	o, content := spooled(t, 3)
	if err := os.WriteFile(o.SpoolPath, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, o).Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	emptied, err := os.ReadFile(o.SpoolPath)
	if err != nil {
		t.Fatal(err)
	}
	frames, _ := store.Frames(content)
	first := store.Frame(7, 0, frames[2]) // other bytes than those that lie there
	for name, c := range map[string]struct {
		written []byte
		want    int
	}{
		"nothing":                  {nil, 0},
		"half a header":            {first[:store.SpoolStart/2], 0},
		"a header":                 {first[:store.SpoolStart], 0},
		"half a frame":             {first[:len(first)/2], 0},
		"a frame":                  {first, 1},
		"a torn frame and another": {append(append(bytes.Clone(first[:len(first)-1]), 0), store.Frame(7, 1, frames[1])...), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := sqlite().Options(t) // a fresh database: nothing is known by its id
			o.SpoolSize = int64(len(emptied))
			file := bytes.Clone(emptied)
			copy(file[store.SpoolStart:], c.written)
			if err := os.WriteFile(o.SpoolPath, file, 0o600); err != nil {
				t.Fatal(err)
			}
			mustOpen(t, o)
			if n := number(t, sqlite().Raw(t, o).DB, `SELECT count(*) FROM callbacks`); n != c.want {
				t.Errorf("%d imported, want %d", n, c.want)
			}
		})
	}
}

// A smaller setting does not hide what waits in a larger file.
func TestSpoolShrinks(t *testing.T) {
	t.Parallel()
	const entries = 20
	o, content := spooled(t, entries)
	if err := os.WriteFile(o.SpoolPath, content, 0o600); err != nil {
		t.Fatal(err)
	}
	o.SpoolSize = 4 << 10
	mustOpen(t, o)
	if n := number(t, sqlite().Raw(t, o).DB, `SELECT count(*) FROM callbacks`); n != entries {
		t.Errorf("%d imported of %d", n, entries)
	}
}
