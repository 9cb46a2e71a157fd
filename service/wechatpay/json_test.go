package wechatpay_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"wxnotify/service/wechatpay"
)

// The bounds of what this package reads of JSON that encoding/json reads too.
const (
	maxDepth   = 32
	maxMembers = 256
	maxKey     = 128 // characters
)

// oracle is what encoding/json says of a document.
type oracle struct {
	valid   bool
	depth   int
	object  bool
	members []string // the keys of the outermost object
}

func ask(raw []byte) (o oracle) {
	if o.valid = json.Valid(raw); !o.valid {
		return o
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // or 1e400 would be an error
	level, isKey := 0, false
	for {
		token, err := d.Token()
		if err != nil {
			return o
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			o.object = o.object || level == 0 && token == json.Delim('{')
			level++
			o.depth = max(o.depth, level)
			isKey = level == 1
			continue
		case json.Delim('}'), json.Delim(']'):
			level--
		}
		if level != 1 || !o.object {
			continue
		}
		if isKey {
			o.members = append(o.members, token.(string))
		}
		isKey = !isKey
	}
}

// bounded reports whether it is as small as a message has to be.
func (o oracle) bounded() bool {
	return o.depth <= maxDepth && len(o.members) <= maxMembers &&
		!slices.ContainsFunc(o.members, func(key string) bool { return utf8.RuneCountInString(key) > maxKey })
}

// ambiguous reports whether two readers could disagree about a key's value.
func (o oracle) ambiguous() bool {
	for i, key := range o.members {
		if slices.ContainsFunc(o.members[:i], func(other string) bool { return strings.EqualFold(key, other) }) {
			return true
		}
	}
	return false
}

// sameVerdict compares only whether it is JSON at all, which is quick.
func sameVerdict(t *testing.T, raw []byte) {
	t.Helper()
	want := json.Valid(raw)
	if _, err := wechatpay.ParseObject(raw); err == nil && !want {
		t.Errorf("%q is an object, but no JSON", raw)
	}
	if got := wechatpay.ValidJSON(raw); got != want && (got || ask(raw).depth <= maxDepth) {
		t.Errorf("%q is JSON: %v, want %v", raw, got, want)
	}
}

// TestValidJSON tries everything that is short: all texts over the bytes that
// mean something, so that each has stood in each place.
func TestValidJSON(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, before, alphabet, after string
		length                        int
	}{
		{"any value", "", "{}[],:\"0 \\", "", 5},
		{"space", "", "\t\n\v\r \x00\x85\xa00", "", 5},
		{"number", "", "-+019.eE ", "", 6},
		{"number in an array", "[", "-+19.E,", "]", 6},
		{"word", "", "nulltrefas", "", 5},
		{"word in an array", "[", "tnruel,", "]", 6},
		{"escape", `"`, `\"/bfnrtuU'x0` + "\n", `"`, 4},
		{"hexadecimal", `"\u`, "09afAFgG@`/:", `"`, 5},
		{"member", "{", `"a:,1{} `, "}", 6},
		{"end of an object", `{"a":1`, " {},]\x00", "", 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			each(tt.alphabet, tt.length, func(text string) { sameVerdict(t, []byte(tt.before+text+tt.after)) })
		})
	}
}

// each calls f with every text over an alphabet, up to a length.
func each(alphabet string, length int, f func(string)) {
	f("")
	if length == 0 {
		return
	}
	for i := range len(alphabet) {
		each(alphabet, length-1, func(rest string) { f(alphabet[i:i+1] + rest) })
	}
}

// TestStringsByTheWord puts every byte, and every pair of the bytes at which a
// test of eight at a time could err, in each place of one.
func TestStringsByTheWord(t *testing.T) {
	t.Parallel()
	for place := range 18 {
		for b := range 256 {
			text := []byte(`"` + strings.Repeat("x", 18) + `" `)
			text[1+place] = byte(b)
			sameVerdict(t, text)
		}
	}
	edges := []byte("\x00\x01\x1f !\"#[\\]\x7f\x80\x81\x9f\xa0\xa1\xa2\xdc\xff")
	for first := range 16 {
		for second := range 16 {
			for _, a := range edges {
				for _, b := range edges {
					text := []byte(`"` + strings.Repeat("\x80", 16) + `"`)
					text[1+first], text[1+second] = a, b
					sameVerdict(t, text)
				}
			}
		}
	}
}

// TestJSONBounds: what is deeper or wider than any message is refused, and not
// one level or member sooner.
func TestJSONBounds(t *testing.T) {
	t.Parallel()
	deep := func(levels int) string {
		return `{"a":` + strings.Repeat("[", levels-1) + strings.Repeat("]", levels-1) + "}"
	}
	wide := func(members int) string {
		var all []string
		for i := range members {
			all = append(all, fmt.Sprintf(`"%d":[]`, i))
		}
		return "{" + strings.Join(all, ",") + "}"
	}
	for _, tt := range []struct {
		name, raw string
		want      bool
	}{
		{"as deep as may be", deep(maxDepth), true},
		{"too deep", deep(maxDepth + 1), false},
		{"objects too deep", strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1), false},
		{"as wide as may be", wide(maxMembers), true},
		{"too wide", wide(maxMembers + 1), false},
		{"as long a key as may be", `{"` + strings.Repeat("支", maxKey) + `":1}`, true},
		{"too long a key", `{"` + strings.Repeat("k", maxKey+1) + `":1}`, false},
		{"too long a key inside", `{"a":{"` + strings.Repeat("k", maxKey+1) + `":1}}`, true},
		{"too wide inside", `{"a":` + wide(maxMembers+1) + "}", true},
		{"a key twice inside", `{"a":{"b":1,"b":2}}`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := wechatpay.ParseObject([]byte(tt.raw)); (err == nil) != tt.want {
				t.Errorf("error %v", err)
			}
		})
	}
}

// FuzzValidJSON holds our idea of JSON to that of encoding/json, byte for byte:
// as a document, and as what stands in a string, an array and an object.
func FuzzValidJSON(f *testing.F) {
	for _, s := range []string{
		`{}`, `[[],{"a":[1,-0.5e+3,true,false,null]}]`, " \t\r\n\"\\ud83d\\ude00\\u00e9\" ", `"\ud800"`, "\"\xff\xfe支付\"", `"\/\b\f\n\r\t\\\""`,
		`01`, `-`, `1.`, `1e`, `[1,]`, `{"a":1,}`, `{"a"}`, `nul`, "\"\x1f\"", "\xef\xbb\xbf{}", strings.Repeat("[", 33) + strings.Repeat("]", 33),
	} {
		f.Add([]byte(s))
	}
	for _, m := range messages(f) {
		f.Add([]byte(m.Body))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, around := range [][2]string{{"", ""}, {`"`, `"`}, {"[0,", "]"}, {`{"a":`, "}"}, {`{"12345":"`, `","b":0}`}} {
			sameVerdict(t, []byte(around[0]+string(raw)+around[1]))
		}
	})
}

// FuzzParseObject compares with encoding/json: what it takes for an object, and
// how it splits it.
func FuzzParseObject(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1}`, ` { "a" : [ 1 , {"b":"]}"} ] , "\u0062" : "x\\" } `, `{"a":1,"A":2}`, `[]`, `{"a":{"b":"\""}}`, `null`, ``, "{\"k\":1,\"\u212a\":2}", "{\"\xff\":1,\"\xfe\":2}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := wechatpay.ParseObject(raw)
		they := ask(raw)
		if want := they.object && they.bounded() && !they.ambiguous(); (err == nil) != want {
			t.Fatalf("%q: error %v, an object: %v", raw, err, want)
		}
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("%d members, want %d", len(got), len(want))
		}
		for key, value := range got {
			if theirs := want[string([]rune(key))]; value != strings.TrimSpace(string(theirs)) {
				t.Errorf("%q: %s, want %s", key, value, theirs)
			}
		}
	})
}
