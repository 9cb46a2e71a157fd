package pager

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// thread is what the mails about one incident have in common: with it, mail
// programs show them as one conversation.
func (p Page) thread() string {
	return digest(fmt.Sprintf("%+v %d", p.IncidentKey, p.Opened.UnixMicro()))
}

// fingerprint is the same for every copy of one message, so that mail servers can
// drop the copy that follows a lost answer, and differs when there is more to say.
func (m Message) fingerprint() string {
	var b strings.Builder
	for _, p := range m.Pages {
		fmt.Fprintf(&b, "%s %s %d %d\n", p.thread(), p.Occasion, p.Count, p.Told.UnixMicro())
	}
	return digest(b.String())
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:12])
}
