# The commands of this repository. `make` alone explains them.
# CI runs `make test` and nothing else, so a green run here is a green run there.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo quick test e2e stack stack-down lint fmt fuzz bench bench-growth golden build clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Watch it work: service, WeChat Pay stand-in and merchant (FOR=20s ends it)
	go run ./service demo $(if $(FOR),--for $(FOR))

quick: ## Formatting, vet, tests with Go and SQLite alone (under 3 minutes, warm)
	@.ci/quick

test: ## The quick tier, then race detector, lint, fuzz smoke, static build, the stack end to end, demo
	@.ci/test

e2e: ## Only the stack, end to end: a callback fails, a page arrives
	@go test -tags stack -run '^TestStack' -parallel 32 -count=1 -v -timeout=15m ./service

stack: ## Collector, Prometheus, Alertmanager, Loki, Jaeger and a mailbox here, with the service and a simulator at work
	@.ci/stack/up

stack-down: ## End what `make stack` started
	@.ci/stack/down

lint: ## golangci-lint and shellcheck
	@.ci/lint

fmt: ## Format the Go code as lint wants it
	"$$(.ci/tool golangci-lint)" fmt

fuzz: ## Fuzz every target (SECONDS=60) or one (TARGET=FuzzOpen)
	@.ci/fuzz $(or $(SECONDS),60) $(TARGET)

bench: ## wxnotify beside the reference handler, on three engines (BENCH=short; more in service/docs/performance.md)
	go test ./service -run '^$$' -bench '^BenchmarkService$$' -benchtime 1x -timeout 60m \
		$(if $(filter short,$(BENCH)),-short) $(if $(filter long,$(BENCH)),-bench-long) \
		$(if $(ENGINES),-bench-engines '$(ENGINES)') $(if $(PARTS),-bench-parts '$(PARTS)') $(if $(PROFILE),-bench-profile '$(abspath $(PROFILE))')

bench-growth: ## A store with ten million callbacks beside an empty one (ROWS=1000000; ENGINES=SQLite,MariaDB; 4 KB of disk for each row)
	go test ./service/store -run '^$$' -bench '^BenchmarkGrowth$$' -benchtime 1x -timeout 6h $(if $(ROWS),-growth-rows $(ROWS)) \
		$(if $(ENGINES),-growth-engines '$(ENGINES)')

golden: ## Write the golden files anew; read the diff before you commit it
	go test -count 1 $$(grep -rl --include='*_test.go' 'flag.Bool("update"' service alerts dashboards otel-collector | xargs -n1 dirname | sort -u | sed 's|^|./|') -update

build: ## Static binary in bin/ (RELEASE=1.2.3 names it)
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w $(if $(RELEASE),-X main.release=$(RELEASE))' -o bin/wxnotify ./service

clean: ## Remove what was built here (the tools' cache stays)
	rm -rf bin
