// Package gen writes the dashboard: callbacks.json is made from it and never
// edited by hand.
//
// Names of metrics, labels, log fields, classes and reasons come from the
// packages telemetry and callback, so that a panel cannot ask for a thing that
// the service does not say. callbacks.go holds the frame and the order of the
// rows, one file each of the rows (now, rates, failures, notifications, keys,
// store, alive, machinery), and look.go, panel.go and query.go what they share.
//
//	go test ./dashboards -run TestGolden -update
package gen
