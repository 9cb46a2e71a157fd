package wechatpay

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
)

const (
	maxXML      = 64 << 10 // real v2 messages have 1 to 2 KiB
	maxElements = 128      // real ones about 30, and 3 for each coupon
)

var errXML = errors.New("not a flat XML message")

// pairs is a flat v2 message, in the order of its elements. It is no struct,
// because fields that are not known yet take part in the signature as well.
type pairs []pair

type pair struct{ name, value string }

func (p pairs) get(name string) string {
	for _, e := range p {
		if e.name == name {
			return e.value
		}
	}
	return ""
}

// sorted is a copy in the order in which v2 signs.
func (p pairs) sorted() pairs {
	s := slices.Clone(p)
	slices.SortFunc(s, func(a, b pair) int { return cmp.Compare(a.name, b.name) })
	return s
}

// fingerprint recognises a v2 message, which has no id: it is the same on every
// re-send, where only nonce and signature are new.
func (p pairs) fingerprint() string {
	h := sha256.New()
	for _, e := range p.sorted() {
		if e.name != "sign" && e.name != "nonce_str" {
			_, _ = io.WriteString(h, e.name+"\x00"+e.value+"\x00")
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// parseXML reads <root><name>value</name>…</root> and nothing else: no DTD and
// no entity but XML's own five (XXE was a hole of WeChat Pay's own SDKs), no
// comment, no attribute, no namespace, no nesting, no element twice.
//
// Source: https://pay.weixin.qq.com/doc/v2/merchant/4011937248
func parseXML(raw []byte, root string) (pairs, error) {
	if len(raw) > maxXML {
		return nil, errXML
	}
	var (
		p     pairs
		value strings.Builder
		depth int
		done  bool
	)
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimLeft(raw, " \t\r\n")))
	for first := true; ; first = false {
		token, err := d.RawToken()
		switch {
		case errors.Is(err, io.EOF) && done:
			return p, nil
		case err != nil:
			return nil, errXML
		}
		switch t := token.(type) {
		case xml.ProcInst:
			if !first || t.Target != "xml" {
				return nil, errXML
			}
		case xml.StartElement:
			depth++
			switch {
			case done, depth > 2, t.Name.Space != "", len(t.Attr) > 0, len(p) == maxElements:
				return nil, errXML
			case depth == 1 && t.Name.Local != root:
				return nil, errXML
			case depth == 2:
				if p.has(t.Name.Local) {
					return nil, errXML
				}
				p = append(p, pair{name: t.Name.Local})
				value.Reset()
			}
		case xml.EndElement:
			switch {
			case t.Name.Space != "", depth == 0, depth == 1 && t.Name.Local != root:
				return nil, errXML
			case depth == 2 && t.Name.Local != p[len(p)-1].name:
				return nil, errXML
			case depth == 2:
				p[len(p)-1].value = value.String()
			}
			depth--
			done = depth == 0
		case xml.CharData:
			if depth == 2 {
				value.Write(t)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return nil, errXML
			}
		default: // comment, directive
			return nil, errXML
		}
	}
}

func (p pairs) has(name string) bool {
	for _, e := range p {
		if strings.EqualFold(e.name, name) {
			return true
		}
	}
	return false
}
