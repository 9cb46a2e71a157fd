package wechat

import (
	"maps"
	"slices"
)

// Fault is one way in which a sending goes wrong.
type Fault string

// The faults. Those of the first group come from strangers and are sent once.
// The others happen to WeChat Pay's own messages, which are sent again on the
// schedule: sound, once the fault has been used up.
const (
	Forged   Fault = "forged"   // signed with somebody else's key
	Junk     Fault = "junk"     // no message at all
	Oversize Fault = "oversize" // a body larger than any legal message

	Probe           Fault = "probe"            // 签名探测流量: a wrong signature on purpose
	ProbeBadBase64  Fault = "probe_bad_base64" // a probe that is not even base64
	Stale           Fault = "stale"            // header time ten minutes old
	UnknownSerial   Fault = "unknown_serial"   // a key the merchant does not have yet
	SignatureType   Fault = "signature_type"   // 国密: SM2, which was not applied for
	HeaderStripped  Fault = "header_stripped"  // a proxy drops one of the headers
	Unsigned        Fault = "unsigned"         // a proxy drops all of them; v2: the sign
	Rewritten       Fault = "rewritten"        // a proxy parses and re-serialises the JSON
	WrongPath       Fault = "wrong_path"       // notify_url of a merchant that is not there
	Undecryptable   Fault = "undecryptable"    // sealed with an APIv3 key the merchant has not got
	Malformed       Fault = "malformed"        // signed and sealed, but the content is no object
	ForeignMerchant Fault = "foreign_merchant" // another merchant's message at this notify_url
	WrongAmount     Fault = "wrong_amount"     // one 分 more than the order
	SlowBody        Fault = "slow_body"        // the body drips in
	LostAnswer      Fault = "lost_answer"      // the connection ends before the answer is read
	None            Fault = ""
)

// want is what a receiver that follows the protocol does with a sending.
type want int

const (
	acknowledge want = iota // say that it has it
	refuse                  // answer, and not with a success
	reject                  // anything but a success; hanging up will do
	whatever                // nobody will know
)

func (w want) String() string {
	return [...]string{"acknowledge", "refuse", "reject", "whatever"}[w]
}

// metBy reports whether an outcome is what was wanted.
func (w want) metBy(o Outcome) bool {
	if o.Failure == Abandoned {
		return true
	}
	switch w {
	case acknowledge:
		return o.Acknowledged
	case refuse:
		return !o.Acknowledged && o.Status != 0
	case reject:
		return !o.Acknowledged
	default:
		return true
	}
}

// trait is what there is to know about a fault.
type trait struct {
	want     want
	v2       bool // it can happen to APIv2 messages
	v3       bool // it can happen to APIv3 messages
	stranger bool // not WeChat Pay's sending: never repeated
}

var traits = map[Fault]trait{
	None:            {want: acknowledge, v2: true, v3: true},
	Forged:          {want: refuse, v2: true, v3: true, stranger: true},
	Junk:            {want: reject, v2: true, v3: true, stranger: true},
	Oversize:        {want: reject, v2: true, v3: true, stranger: true},
	Probe:           {want: refuse, v3: true},
	ProbeBadBase64:  {want: refuse, v3: true},
	Stale:           {want: refuse, v3: true},
	UnknownSerial:   {want: refuse, v3: true},
	SignatureType:   {want: refuse, v3: true},
	HeaderStripped:  {want: refuse, v3: true},
	Unsigned:        {want: refuse, v2: true, v3: true},
	Rewritten:       {want: refuse, v3: true},
	WrongPath:       {want: refuse, v2: true, v3: true},
	Undecryptable:   {want: refuse, v3: true},
	Malformed:       {want: refuse, v2: true, v3: true},
	ForeignMerchant: {want: refuse, v2: true, v3: true},
	WrongAmount:     {want: acknowledge, v2: true, v3: true},
	SlowBody:        {want: acknowledge, v2: true, v3: true},
	LostAnswer:      {want: whatever, v2: true, v3: true},
}

// Faults lists every fault.
func Faults() []Fault {
	all := slices.Collect(maps.Keys(traits))
	slices.Sort(all)
	return slices.DeleteFunc(all, func(f Fault) bool { return f == None })
}

// Known reports whether there is such a fault.
func (f Fault) Known() bool { _, ok := traits[f]; return ok }

// Fits reports whether the fault can happen to a message of kind k.
func (f Fault) Fits(k Kind) bool {
	t := traits[f]
	switch {
	case f == WrongAmount && !k.Paid():
		return false
	case (f == ForeignMerchant || f == Malformed) && !k.Paid() && !k.Refunded():
		return false // a receiver need not understand any other content
	case f == Unsigned && k == RefundV2:
		return false // it has no signature to begin with
	}
	return k.V2() && t.v2 || !k.V2() && t.v3
}

// Stranger reports whether the sending is not WeChat Pay's own.
func (f Fault) Stranger() bool { return traits[f].stranger }
