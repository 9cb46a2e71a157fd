# Shared by the scripts in this folder: headings, steps, counts, and what could
# not be had. Sourced, never run.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# One folder and one clock for a whole run, however many scripts take part.
if [[ -z ${CHECKS_RUN:-} ]]; then
	CHECKS_RUN=$(mktemp -d)
	CHECKS_BEGAN=$EPOCHSECONDS
	export CHECKS_RUN CHECKS_BEGAN
	trap 'rm -rf "$CHECKS_RUN"' EXIT
fi
touch "$CHECKS_RUN/counts" "$CHECKS_RUN/not-run" "$CHECKS_RUN/failed"

in_ci() { [[ ${CI:-} == true ]]; }

section() { printf '\n== %4ds  %s\n' $((EPOCHSECONDS - CHECKS_BEGAN)) "$*"; }

# step NAME COMMAND… runs a command under a heading. A failure is remembered and
# the next step runs all the same: one run shows everything that is wrong.
step() {
	local name=$1 status
	shift
	section "$name"
	set +e # a command in a condition would lose its own set -e
	(
		set -e
		"$@"
	)
	status=$?
	set -e
	if ((status != 0)); then
		echo "FAILED: $name (exit $status)"
		echo "$name" >>"$CHECKS_RUN/failed"
	fi
}

# needs TIER says once what a tier wants from this machine, and what is here.
needs() {
	[[ ! -e $CHECKS_RUN/told-$1 ]] || return 0
	touch "$CHECKS_RUN/told-$1"
	echo "the $1 tier needs:"
	case $1 in
	quick)
		want "Go" "$(go mod edit -json | sed -n 's/.*"Go": "\(.*\)".*/\1/p') (here: $(go env GOVERSION))"
		want "Go modules" "from a proxy or the module cache"
		;;
	full)
		want "a C compiler" "race detector ($(here gcc))"
		want "golangci-lint" "built once, some two minutes"
		want "shellcheck" "if it can be had ($(here shellcheck))"
		want "Go modules" "of collector, Prometheus, Alertmanager, Loki, Jaeger, Mailpit: built once, some 15 minutes"
		want "vuln.go.dev" "for govulncheck, if it can be reached"
		want "docker" "with an engine, for the image, if there is one ($(here docker))"
		;;
	esac
}

want() { printf '  %-14s %s\n' "$@"; }

here() { if command -v "$1" >/dev/null; then echo "here"; else echo "not here"; fi; }

# not_run WHAT WHY says loudly that a check did not happen.
not_run() {
	echo "NOT RUN: $1: $2"
	echo "$1: $2" >>"$CHECKS_RUN/not-run"
}

# need COMMAND PACKAGE… makes sure of a command, by Debian's packages if it must.
need() {
	command -v "$1" >/dev/null && return
	command -v apt-get >/dev/null && ((EUID == 0)) || return 1
	shift
	echo "installing $*"
	{ apt-get update && apt-get install -y --no-install-recommends "$@"; } >"$CHECKS_RUN/apt.log" 2>&1 ||
		{ tail -n 5 "$CHECKS_RUN/apt.log" && return 1; }
}

# tests NAME ARGS… is `go test ARGS` with its results counted under NAME. In CI a
# skipped test is a failure: what is not run there is run nowhere.
tests() {
	local name=$1 status=0 runner total failed skipped
	shift
	runner=$(.ci/tool gotestsum)
	rm -f "$CHECKS_RUN/result" # a runner that dies leaves no counts, not the last ones
	# $TESTS_… are gotestsum's, not ours: they are expanded when it is done.
	# shellcheck disable=SC2016
	RESULT=$CHECKS_RUN/result "$runner" --format pkgname \
		--post-run-command 'bash -c "echo $TESTS_TOTAL $TESTS_FAILED $TESTS_SKIPPED >$RESULT"' \
		-- "$@" || status=$?
	read -r total failed skipped <"$CHECKS_RUN/result"
	echo "$((total - failed - skipped)) $failed $skipped" >>"$CHECKS_RUN/counts"
	echo "$name: $((total - failed - skipped)) passed, $failed failed, $skipped skipped"
	if in_ci && ((skipped > 0)); then
		echo "skipped tests fail the run in CI"
		status=1
	fi
	return "$status"
}

# verdict closes a run: what failed, what was not run, and the counts alone on
# the last line. Its status is the run's.
verdict() {
	local name
	section "verdict"
	while read -r name; do echo "failed:  $name"; done <"$CHECKS_RUN/failed"
	while read -r name; do echo "not run: $name"; done <"$CHECKS_RUN/not-run"
	awk '{p += $1; f += $2; s += $3} END {printf "%d passed, %d failed, %d skipped\n", p, f, s}' "$CHECKS_RUN/counts"
	[[ ! -s $CHECKS_RUN/failed ]]
}
