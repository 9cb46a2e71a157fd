//go:build stack

package alerts_test

import (
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// routes says who is told of each alert.
var routes = []struct {
	alert    string
	labels   map[string]string
	receiver string
}{
	{"WechatPayCallbackFailed", map[string]string{"severity": "critical", "class": "proven", "merchant": "shop", "error_type": "signature_invalid"}, "page"},
	{"WechatPayCallbackFailed", map[string]string{"severity": "critical", "class": "proven", "merchant": "shop", "error_type": "store_unavailable"}, "page"},
	{"WechatPayCallbackFailed", map[string]string{"severity": "warning", "class": "unproven", "merchant": "shop", "error_type": "key_unknown"}, "notice"},
	{"WechatPayNotificationOutstanding", map[string]string{"severity": "critical", "merchant": "shop", "error_type": "amount_mismatch"}, "page"},
	{"WechatPayNotificationOutstanding", map[string]string{"severity": "critical", "merchant": "shop", "error_type": "internal"}, "page"},
	{"WechatPayOutstandingUnchanged", map[string]string{"severity": "none", "merchant": "shop", "error_type": "amount_mismatch"}, "nobody"},
	{"WechatPayCallbackSilence", map[string]string{"severity": "warning", "merchant": "shop"}, "notice"},
	{"WechatPayAllRefused", map[string]string{"severity": "critical", "merchant": "shop"}, "page"},
	{"WechatPayKeyExpiring", map[string]string{"severity": "warning", "merchant": "shop", "key_kind": "platform_certificate"}, "notice"},
	{"WechatPayKeyExpiring", map[string]string{"severity": "critical", "merchant": "shop", "key_kind": "platform_certificate"}, "page"},
	{"WechatPayClockSkew", map[string]string{"severity": "warning"}, "notice"},
	{"WechatPaySpoolInUse", map[string]string{"severity": "critical"}, "page"},
	{"WechatPayDiskFilling", map[string]string{"severity": "warning"}, "notice"},
	{"WechatPayDiskFilling", map[string]string{"severity": "critical"}, "page"},
	{"WechatPayServiceDown", map[string]string{"severity": "critical"}, "page"},
	{"WechatPayTelemetryAbsent", map[string]string{"severity": "critical", "missing": "everything"}, "page"},
	{"WechatPayTelemetryAbsent", map[string]string{"severity": "critical", "missing": "store"}, "page"},
	{"WechatPayCollectorDropping", map[string]string{"severity": "warning"}, "notice"},
	{"WechatPayPagerFailing", map[string]string{"severity": "critical"}, "page-by-mail"},
	{"WechatPayPagerFailing", map[string]string{"severity": "warning", "channel": "dingtalk"}, "notice-by-mail"},
	{"WechatPayAlertmanagerFailing", map[string]string{"severity": "warning", "reason": "clientError"}, "notice-by-mail"},
	{"WechatPayErrorBudgetBurn", map[string]string{"severity": "warning", "burn": "slow"}, "notice"},
	{"WechatPayErrorBudgetBurn", map[string]string{"severity": "critical", "burn": "fast"}, "page"},
	{"Watchdog", map[string]string{"severity": "none"}, "watchdog"},
	{"AnAlertOfYours", map[string]string{"severity": "critical"}, "page"},
	{"AnAlertOfYours", map[string]string{"severity": "info"}, "notice"},
	{"AnAlertOfYours", nil, "notice"},
}

func amtool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary(t, "amtool"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("amtool %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestConfigurationIsValid(t *testing.T) {
	t.Parallel()
	if says := amtool(t, "check-config", "alertmanager.yml"); !strings.Contains(says, "SUCCESS") {
		t.Error(says)
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	for _, r := range routes {
		args := []string{"config", "routes", "test", "--config.file=alertmanager.yml", "alertname=" + r.alert}
		for _, label := range slices.Sorted(maps.Keys(r.labels)) {
			args = append(args, label+"="+r.labels[label])
		}
		if got := amtool(t, args...); got != r.receiver {
			t.Errorf("%s %v goes to %q; want %q", r.alert, r.labels, got, r.receiver)
		}
	}
}

// TestNothingElseMutesAFailure fires everything at once, and then the first
// failure of a merchant. Whatever else burns, that one is told.
func TestNothingElseMutesAFailure(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	var burning []alert
	for _, r := range routes {
		a := alert{Labels: maps.Clone(r.labels), StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour)}
		if a.Labels == nil {
			a.Labels = map[string]string{}
		}
		a.Labels["alertname"], a.Labels["deployment_environment_name"] = r.alert, "production"
		burning = append(burning, a)
	}
	p.send(t, burning...)
	within(t, 10*time.Second, "everything to burn", func() bool { grouped, _ := p.known(t); return grouped == len(burning) })
	p.send(t, failed("proven", "shop", "decrypt_failed"), failed("proven", "cafe", "amount_mismatch"))
	p.mail(t, paged, "3 failed · shop · decrypt_failed")
	p.mail(t, paged, "3 failed · cafe · amount_mismatch")
	if sent := p.mails(t, "OutstandingUnchanged"); len(sent) > 0 {
		t.Errorf("somebody was told: %s", sent[0].Subject)
	}
	for _, g := range p.groups(t) {
		for _, a := range g.Alerts {
			if a.Labels["alertname"] == "WechatPayCallbackFailed" && len(a.Status.InhibitedBy) > 0 {
				t.Errorf("%v is muted", a.Labels)
			}
		}
	}
}
