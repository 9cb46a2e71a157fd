package main

import (
	"fmt"
	"os"

	"wxnotify/service/wechatpay"
)

// merchants reads every merchant's keys. All problems are reported at once, by
// the field that is to blame.
func (c Config) merchants() ([]wechatpay.Merchant, error) {
	var found problems
	all := make([]wechatpay.Merchant, 0, len(c.Merchants))
	for _, name := range c.merchantNames() {
		all = append(all, c.Merchants[name].load(&found, name))
	}
	return all, found.join()
}

// opener reads every merchant's keys and makes the opener that uses them.
func (c Config) opener() (*wechatpay.Opener, error) {
	merchants, err := c.merchants()
	if err != nil {
		return nil, err
	}
	return wechatpay.New(merchants)
}

func (m Merchant) load(found *problems, name string) wechatpay.Merchant {
	field := "merchants." + name
	out := wechatpay.Merchant{Name: name, MchID: m.MchID, AppIDs: m.AppIDs}
	for i, k := range m.Keys {
		at := fmt.Sprintf("%s.keys.%d", field, i)
		pem, err := os.ReadFile(k.File)
		if err != nil {
			found.add(at+".file", plainFileError(err), "check the path and who may read it")
			continue
		}
		key, err := wechatpay.ParseVerifyKey(k.ID, pem)
		if err != nil {
			*found = append(*found, fmt.Errorf("%s (%s): %w", at, k.File, err))
			continue
		}
		out.Verify = append(out.Verify, key)
	}
	secrets := func(list []Secret, under string) (keys [][]byte) {
		for i, s := range list {
			at := fmt.Sprintf("%s.%s.%d", field, under, i)
			key, err := s.read(at)
			switch {
			case err != nil:
				*found = append(*found, err)
			case len(key) != 32:
				found.add(at, fmt.Sprintf("%d bytes", len(key)), "the key has exactly 32: copy it anew from the merchant platform")
			default:
				keys = append(keys, key)
			}
		}
		return keys
	}
	out.APIv3 = secrets(m.APIv3Keys, "apiv3_keys")
	out.V2.Keys = secrets(m.V2.Keys, "v2.keys")
	out.V2.Sign = wechatpay.SignPolicy(m.V2.Sign)
	return out
}
