package telemetry

import (
	"regexp"
	"strings"
)

// hidden stands where something personal or secret stood.
const hidden = "[hidden]"

// telling are parts of field names whose values are nobody's business: about a
// person, or a key.
var telling = []string{
	"openid", "unionid", "phone", "mobile", "tel", "name", "idcard", "id_card", "id_no", "idno", "cert_no", "card",
	"account", "accout", "bank", "addr", "mail", "attach", "plate", "device", "client_ip", "key", "secret",
	"passw", "token", "payer", "identity", "authorization",
}

// mail is searched only where there is an @ at all.
var mail = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+`)

// mask hides what looks personal or secret in text that nobody vouches for:
// values of telling fields (JSON, XML, forms), openids, phone, identity and
// bank card numbers, mail addresses, keys. It hides too much rather than too
// little. One pass and no backtracking: strangers choose the text.
func mask(s string) string {
	if i := strings.Index(s, "-----BEGIN"); i >= 0 {
		s = s[:i] + hidden
	}
	if strings.Contains(s, "@") {
		s = mail.ReplaceAllString(s, hidden)
	}
	return maskNumbers(maskWords(s))
}

// maskWords goes from word to word: a word can be a field name or, in itself,
// an openid or a key.
func maskWords(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		end := i
		for end < len(s) && inWord(s[end]) {
			end++
		}
		word, shown := s[i:end], s[i:end]
		if likeOpenID(word) || likeKey(s, i, end) {
			shown = hidden
		}
		switch {
		case word == "":
			out.WriteByte(s[i])
			end++
		case !isTelling(word):
			out.WriteString(shown)
		case i > 0 && s[i-1] == '<' && end < len(s) && s[end] == '>':
			out.WriteString(shown + ">" + hidden)
			if end = len(s); strings.Contains(s[i:], "</") {
				end = i + strings.Index(s[i:], "</")
			}
		default:
			from, to := fieldValue(s, end)
			out.WriteString(shown + s[end:from])
			if to > from {
				out.WriteString(hidden)
			}
			end = to
		}
		i = end
	}
	return out.String()
}

func inWord(c byte) bool { return c == '_' || c == '-' || isAlnum(c) }

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isTelling(word string) bool {
	if len(word) < 3 {
		return false
	}
	word = strings.ToLower(word)
	for _, part := range telling {
		if strings.Contains(word, part) {
			return true
		}
	}
	return false
}

// likeOpenID: an openid is 28 characters and begins with o.
func likeOpenID(word string) bool { return len(word) >= 20 && word[0] == 'o' }

// likeKey: API keys have exactly 32 letters and digits. Inside of base64 that
// means nothing.
func likeKey(s string, from, to int) bool {
	if to-from != 32 || strings.ContainsAny(s[from:to], "_-") {
		return false
	}
	return (from == 0 || !strings.ContainsRune("+/=", rune(s[from-1]))) &&
		(to == len(s) || !strings.ContainsRune("+/=", rune(s[to])))
}

// fieldValue finds the value of a field whose name ends at i: after a quote,
// perhaps escaped, and a colon or an equals sign. Without one it is empty.
// An object or a list is not a value; what is in it has names of its own.
func fieldValue(s string, i int) (from, to int) {
	end := i
	skip := func(set string) {
		for i < len(s) && strings.IndexByte(set, s[i]) >= 0 {
			i++
		}
	}
	skip("\\\"' \t\r\n")
	if i == len(s) || s[i] != ':' && s[i] != '=' {
		return end, end
	}
	i++
	skip(" \t\r\n")
	from = i
	skip("\\")
	if i == len(s) {
		return from, i
	}
	quote := s[i]
	if quote != '"' && quote != '\'' {
		for i < len(s) && strings.IndexByte(" \t\r\n\"&,;{}[]<", s[i]) < 0 {
			i++
		}
		return from, i
	}
	escaped := i > from // JSON inside of a string: the value ends like it begins
	for i++; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return from, i + 1
		case s[i] == '\\' && !escaped:
			i++
		}
	}
	return from, len(s)
}

// maskNumbers hides runs of 11 to 19 digits, also when written in groups:
// phone numbers have 11, identity cards 18 with a final X, bank cards 13 to 19.
// Dates and Unix times are shorter, transaction ids longer.
func maskNumbers(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		end, digits := digitRun(s, i)
		switch {
		case digits == 0:
			out.WriteByte(s[i])
			end = i + 1
		case digits >= 11 && digits <= 19:
			out.WriteString(hidden)
		default:
			out.WriteString(s[i:end])
		}
		i = end
	}
	return out.String()
}

// digitRun reads digits from i, with at most one space or hyphen in between.
func digitRun(s string, i int) (end, digits int) {
	for end = i; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
			end = i + 1
		case (c == ' ' || c == '-') && digits > 0 && end == i:
		case (c == 'x' || c == 'X') && digits == 17 && end == i:
			return i + 1, digits + 1
		default:
			return end, digits
		}
	}
	return end, digits
}
