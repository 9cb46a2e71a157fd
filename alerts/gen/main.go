// Gen renders the runbooks to pages: go run ./alerts/gen
//
// The pages are committed. Prometheus serves them at /user/
// (--web.user-assets=alerts/runbooks/html), so that the link in a page at night
// needs nothing but the Prometheus that sent it.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	from := flag.String("from", "alerts/runbooks", "folder of the runbooks in Markdown")
	to := flag.String("to", "alerts/runbooks/html", "folder for the pages; what else is in it is removed")
	grafana := flag.String("grafana", localGrafana, "your Grafana's address, for links to panels")
	jaeger := flag.String("jaeger", localJaeger, "your Jaeger's address, for links to traces")
	flag.Parse()
	if err := write(*from, *to, addresses{*grafana, *jaeger}); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// write renders every runbook and replaces what is in the folder.
func write(from, to string, at addresses) error {
	pages, err := render(os.DirFS(from), at)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil { //nolint:gosec // Prometheus reads it as another user
		return err
	}
	for name, page := range pages {
		if err := os.WriteFile(filepath.Join(to, name), page, 0o644); err != nil { //nolint:gosec // as above
			return err
		}
	}
	return nil
}
