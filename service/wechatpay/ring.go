package wechatpay

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"wxnotify/service/callback"
)

// ring is one immutable set of merchants and keys; Replace swaps whole rings.
type ring struct {
	byName  map[string]*merchant
	inOrder []*merchant
}

// merchant is a [Merchant] made ready for use.
type merchant struct {
	name, mchID string
	appIDs      []string
	verify      map[string]*verifier // by serialIndex
	v3          []*apiv3Key          // newest first
	v2          []*apiv2Key          // newest first
	sign        SignPolicy
	seals       []sealKey // newest first
	states      []keyInUse
}

type verifier struct {
	VerifyKey
	used *lastUse
}

// keyInUse is a key's description with the living time of its last use.
type keyInUse struct {
	callback.KeyState
	used *lastUse
}

// lastUse is when a key last verified or opened a callback.
type lastUse struct{ nanos atomic.Int64 }

// mark moves the time forward, never back: a stored callback that is opened
// again must not make a key look unused.
func (u *lastUse) mark(at time.Time) {
	if at.IsZero() {
		return
	}
	for now := at.UnixNano(); ; {
		old := u.nanos.Load()
		if old >= now || u.nanos.CompareAndSwap(old, now) {
			return
		}
	}
}

func (u *lastUse) time() time.Time {
	if n := u.nanos.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// newRing builds a ring, or reports every problem at once. Keys that were in
// the previous ring keep the time of their last use.
func newRing(merchants []Merchant, previous *ring) (*ring, error) {
	if err := validate(merchants); err != nil {
		return nil, err
	}
	r := &ring{byName: make(map[string]*merchant, len(merchants))}
	for _, config := range merchants {
		m, err := newMerchant(config, previous)
		if err != nil {
			return nil, fmt.Errorf("merchant %q: %w", config.Name, err)
		}
		r.byName[m.name] = m
		r.inOrder = append(r.inOrder, m)
	}
	return r, nil
}

func newMerchant(config Merchant, previous *ring) (*merchant, error) {
	m := &merchant{
		name: config.Name, mchID: config.MchID, appIDs: slices.Clone(config.AppIDs),
		verify: make(map[string]*verifier, len(config.Verify)), sign: config.V2.Sign,
	}
	for _, k := range config.Verify {
		m.verify[serialIndex(k.id)] = &verifier{k, m.track(previous, k.kind, k.id, k.expires)}
	}
	for _, secret := range config.APIv3 {
		seal, err := newSealKey(secret)
		if err != nil {
			return nil, err
		}
		aead, err := newGCM(secret)
		if err != nil {
			return nil, err
		}
		m.seals = append(m.seals, seal)
		m.v3 = append(m.v3, &apiv3Key{aead: aead, used: m.track(previous, callback.KeyAPIv3, seal.id, time.Time{})})
	}
	for _, secret := range config.V2.Keys {
		seal, err := newSealKey(secret)
		if err != nil {
			return nil, err
		}
		block, err := newRefundCipher(secret)
		if err != nil {
			return nil, err
		}
		m.seals = append(m.seals, seal)
		m.v2 = append(m.v2, &apiv2Key{
			secret: slices.Clone(secret), refunds: block,
			used: m.track(previous, callback.KeyAPIv2, seal.id, time.Time{}),
		})
	}
	return m, nil
}

// track lists the key in the merchant's states and finds its earlier use.
func (m *merchant) track(previous *ring, kind callback.KeyKind, id string, expires time.Time) *lastUse {
	used := previous.lastUse(m.name, kind, id)
	state := callback.KeyState{Merchant: m.name, Kind: kind, ID: id, Expires: expires}
	m.states = append(m.states, keyInUse{state, used})
	return used
}

func (r *ring) lastUse(name string, kind callback.KeyKind, id string) *lastUse {
	if r != nil {
		if m := r.byName[name]; m != nil {
			for _, s := range m.states {
				if s.Kind == kind && s.ID == id {
					return s.used
				}
			}
		}
	}
	return new(lastUse)
}

// validate reports everything that is wrong with the merchants, joined.
func validate(merchants []Merchant) error {
	if len(merchants) == 0 {
		return errors.New("merchants: none configured")
	}
	var problems []error
	seen := make(map[string]bool, len(merchants))
	for i, m := range merchants {
		where := fmt.Sprintf("merchant %q", m.Name)
		if !callback.IsMerchantName(m.Name) {
			where = fmt.Sprintf("merchant #%d", i+1)
			problems = append(problems, fmt.Errorf("%s: name: must be 1 to 32 characters of a-z 0-9 - because it is a part of notify_url", where))
		} else if seen[m.Name] {
			problems = append(problems, fmt.Errorf("%s: name: used twice: each merchant needs a path of its own", where))
		}
		seen[m.Name] = true
		for _, problem := range m.problems() {
			problems = append(problems, fmt.Errorf("%s: %s", where, problem))
		}
	}
	return errors.Join(problems...)
}

func (m Merchant) problems() (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if !isDecimal(m.MchID) || len(m.MchID) > 32 {
		add("mchid: must be the merchant number (商户号), digits only")
	}
	for i, id := range m.AppIDs {
		if !isID(id) {
			add("appids #%d: not an appid", i+1)
		}
	}
	if len(m.APIv3) == 0 && len(m.Verify) == 0 && len(m.V2.Keys) == 0 {
		add("keys: none: give a verification key and the APIv3 key, or v2 keys")
	}
	if len(m.APIv3) == 0 && len(m.Verify) > 0 {
		add("apiv3 key: missing: without it nothing can be decrypted")
	}
	if len(m.Verify) == 0 && len(m.APIv3) > 0 {
		add("verification key: missing: give the WeChat Pay public key (PUB_KEY_ID_…) or the platform certificate")
	}
	ids := make(map[string]bool, len(m.Verify))
	for i, k := range m.Verify {
		switch {
		case k.key == nil:
			add("verification key #%d: empty: make it with ParseVerifyKey", i+1)
		case ids[serialIndex(k.id)]:
			add("verification key #%d: %s is given twice", i+1, k.id)
		}
		ids[serialIndex(k.id)] = true
	}
	for _, p := range secretProblems("apiv3 key", m.APIv3) {
		add("%s", p)
	}
	for _, p := range secretProblems("v2 key", m.V2.Keys) {
		add("%s", p)
	}
	if !m.V2.Sign.known() {
		add("v2 sign: must be any, md5 or hmac-sha256")
	}
	return problems
}

// secretProblems checks API keys, which the merchant platform fixes at 32
// characters. It names the position and the length, never the key.
func secretProblems(field string, secrets [][]byte) (problems []string) {
	seen := make(map[string]bool, len(secrets))
	for i, s := range secrets {
		switch {
		case len(s) != 32:
			problems = append(problems, fmt.Sprintf("%s #%d: has %d bytes and must have exactly 32: look for a line break or a space at its end", field, i+1, len(s)))
		case !isVisible(s):
			problems = append(problems, fmt.Sprintf("%s #%d: has characters other than visible ASCII: look for a line break or a space", field, i+1))
		case seen[string(s)]:
			problems = append(problems, fmt.Sprintf("%s #%d: is given twice", field, i+1))
		}
		seen[string(s)] = true
	}
	return problems
}
