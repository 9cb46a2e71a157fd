package callback_test

import (
	"strings"
	"testing"

	"wxnotify/service/callback"
)

func TestIsMerchantName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"shop": true, "a": true, "7": true, "-": true, "shop-2": true, strings.Repeat("a", 32): true,
		"": false, strings.Repeat("a", 33): false, "Shop": false, "shop_2": false, "shop.cn": false, "a/b": false,
		"a b": false, "a\x00b": false, "a\n": false, "商户": false, "a\xffb": false, "..": false, callback.OtherMerchant: false,
	} {
		if got := callback.IsMerchantName(name); got != want {
			t.Errorf("IsMerchantName(%q) = %v, want %v", name, got, want)
		}
	}
}
