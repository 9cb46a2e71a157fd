# The parts of the native stack: where each listens, how it is started, when it is
# ready. Sourced by up and down, never run.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

# One stack is one folder: addresses, configuration, data, logs, process ids.
state=${STACK_STATE:-${XDG_STATE_HOME:-$HOME/.local/state}/wxnotify-stack}

# In the order in which they start: who is told before who tells. An alert that
# Prometheus cannot deliver is sent again only after a minute.
parts=(mailpit inbox dingtalk alertmanager prometheus loki jaeger otel-collector service simulator)

# What the shipped configuration calls each door, as docker-compose.yml does; the
# last line has those that only the native parts need.
doors=(
	service:8080 service:9090 otel-collector:4317 otel-collector:4318 otel-collector:8888 otel-collector:13133
	prometheus:9090 alertmanager:9093 loki:3100 jaeger:4317 jaeger:16686 grafana:3000 mailpit:1025 mailpit:8025 inbox:8090
	dingtalk:8082 simulator:8081 loki:9095 jaeger:13133 jaeger:16685
)

# A stack's folder goes away with it, so it must not be anybody else's. Who
# chooses the addresses writes that file beforehand.
marker=$state/.wxnotify-stack
claim() {
	if [[ ! -e $marker && -n $(find "$state" -mindepth 1 -maxdepth 1 ! -name addresses -print -quit 2>/dev/null) ]]; then
		echo "$state is not empty and not a stack: name another folder by STACK_STATE" >&2
		exit 1
	fi
	mkdir -p "$state"
	touch "$marker"
}

# at DOOR is where a door is; port DOOR is the number alone.
at() { sed -n "s/^$1 //p" "$state/addresses"; }
port() { at "$1" | sed 's/.*://'; }

# choose gives every door the port that it has in the containers, or the next one
# that is free. Whoever has written the file before has chosen.
choose() {
	local door address port
	mkdir -p "$state"
	touch "$state/addresses"
	for door in "${doors[@]}"; do
		if [[ -n $(at "$door") ]]; then continue; fi
		port=${door##*:}
		while
			address=127.0.0.1:$port
			listens "$address" || grep -qx "[^ ]* $address" "$state/addresses"
		do port=$((port + 1)); done
		echo "$door $address" >>"$state/addresses"
	done
}

listens() { (exec 3<>"/dev/tcp/${1%:*}/${1##*:}") 2>/dev/null; }

# configure copies the shipped configuration and puts our addresses and folders in
# the place of the containers'. Nothing else is changed: what runs here is what
# is shipped.
configure() {
	local file text door address new=$state/config.new
	rm -rf "$new"
	mkdir -p "$new" "$state"/{data,log,pid}
	cp -R otel-collector/*.yaml alerts/*.yml alerts/rules alerts/templates "$new"
	while IFS= read -r -d '' file; do
		text=$(<"$file")
		while read -r door address; do
			text=${text//"$door"/"$address"}
		done <"$state/addresses"
		text=${text//\/run\/secrets\//"$state/secrets/"}
		printf '%s\n' "$text" >"$file"
	done < <(find "$new" -type f -print0)
	mv "$new" "$state/config"
}

# build PART… makes the programs, or takes them from the cache, into one folder.
build() {
	local part program
	mkdir -p "$state/bin"
	for part in "$@"; do
		case $part in
		inbox | dingtalk | service | simulator)
			if [[ ! -e $state/bin/wxnotify ]]; then CGO_ENABLED=0 go build -o "$state/bin/wxnotify" ./service; fi
			;;
		*)
			program=$(.ci/tool "${part/otel-collector/otelcol}")
			ln -sf "$program" "$state/bin/$part"
			;;
		esac
	done
}

# describe PART sets `line`, which runs it, and `ready`, which answers 200 when it
# can be used.
describe() {
	local bin=$state/bin config=$state/config data=$state/data/$1
	mkdir -p "$data"
	case $1 in
	mailpit)
		line=("$bin/mailpit" --smtp "$(at mailpit:1025)" --listen "$(at mailpit:8025)"
			--database "$data/mail.db" --max 10000 --disable-version-check)
		ready=$(at mailpit:8025)/readyz
		;;
	inbox)
		line=("$bin/wxnotify" simulate inbox --listen "$(at inbox:8090)")
		ready=$(at inbox:8090)/healthz
		;;
	dingtalk)
		line=("$bin/wxnotify" simulate dingtalk --listen "$(at dingtalk:8082)" --keys "$state/account")
		ready=$(at dingtalk:8082)/healthz
		;;
	alertmanager)
		line=("$bin/alertmanager" --config.file="$config/${ALERTMANAGER_CONFIG:-alertmanager-pager.yml}" --storage.path="$data"
			--web.listen-address="$(at alertmanager:9093)" --web.external-url="http://$(at alertmanager:9093)"
			--cluster.listen-address=)
		ready=$(at alertmanager:9093)/-/ready
		;;
	prometheus)
		line=("$bin/prometheus" --config.file="$config/prometheus.yml" --storage.tsdb.path="$data"
			--web.listen-address="$(at prometheus:9090)" --web.external-url="http://$(at prometheus:9090)"
			--web.enable-otlp-receiver --enable-feature=exemplar-storage --web.user-assets="$PWD/alerts/runbooks/html")
		ready=$(at prometheus:9090)/-/ready
		;;
	loki)
		line=("$bin/loki" -config.file="$config/loki.yaml" -common.path-prefix="$data"
			-common.storage.filesystem.chunk-directory="$data/chunks" -common.storage.filesystem.rules-directory="$data/rules"
			-server.http-listen-address=127.0.0.1 -server.http-listen-port="$(port loki:3100)"
			-server.grpc-listen-port="$(port loki:9095)" -querier.frontend-address="$(at loki:9095)")
		ready=$(at loki:3100)/ready
		;;
	jaeger)
		line=(env JAEGER_DATA="$data" JAEGER_OTLP_LISTEN="$(at jaeger:4317)" JAEGER_QUERY_LISTEN="$(at jaeger:16686)"
			JAEGER_QUERY_GRPC_LISTEN="$(at jaeger:16685)" JAEGER_HEALTH_LISTEN="$(at jaeger:13133)"
			"$bin/jaeger" --config="$config/jaeger.yaml")
		ready=$(at jaeger:13133)/status
		;;
	otel-collector)
		line=(env OTLP_GRPC_LISTEN="$(at otel-collector:4317)" OTLP_HTTP_LISTEN="$(at otel-collector:4318)"
			HEALTH_LISTEN="$(at otel-collector:13133)" TELEMETRY_HOST=127.0.0.1 TELEMETRY_PORT="$(port otel-collector:8888)"
			QUEUE_DIR="$data" "$bin/otel-collector" --config="$config/config.yaml")
		ready=$(at otel-collector:13133)/
		;;
	service)
		line=(env WXNOTIFY_LISTEN="$(at service:8080)" WXNOTIFY_PRIVATE__LISTEN="$(at service:9090)"
			OTEL_EXPORTER_OTLP_PROTOCOL=grpc OTEL_EXPORTER_OTLP_ENDPOINT="http://$(at otel-collector:4317)"
			OTEL_RESOURCE_ATTRIBUTES="service.namespace=payments,deployment.environment.name=native"
			"$bin/wxnotify" serve --config "$state/account/wxnotify.yaml")
		ready=$(at service:9090)/readyz
		;;
	simulator)
		line=("$bin/wxnotify" simulate serve --target "http://$(at service:8080)" --keys "$state/account"
			--listen "$(at simulator:8081)" --rate 2)
		ready=$(at simulator:8081)/healthz
		;;
	esac
}

# account makes the demo's merchant, whose service tells the mailbox and the robot,
# and the token that Alertmanager posts to it with.
account() {
	"$state/bin/wxnotify" simulate keys --dir "$state/account" --alertmanager "$state/secrets" \
		--mail "$(at mailpit:1025)" --dingtalk "http://$(at dingtalk:8082)" \
		--link-runbooks "http://$(at prometheus:9090)/user" \
		--link-trace "http://$(at jaeger:16686)/api/traces/{trace_id}" >/dev/null
}

# tells_who_listens reports whether mailbox and robot are where the account has them.
tells_who_listens() {
	grep -qF "//$(at dingtalk:8082)/" "$state/account/dingtalk_url" &&
		grep -qF "port: $(port mailpit:1025)," "$state/account/wxnotify.yaml"
}

# answers HOST:PORT/PATH reports whether a GET is answered with 200. It needs
# nothing but bash.
answers() {
	local address=${1%%/*} status
	{ exec 3<>"/dev/tcp/${address%:*}/${address##*:}"; } 2>/dev/null || return 1
	printf 'GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n' "${1#*/}" "$address" >&3
	read -r -t 2 _ status _ <&3 || true
	exec 3>&-
	[[ ${status:-} == 200 ]]
}

# runs PART prints its process id while it runs. A recycled id is not taken for
# it: every part has our folder in its command line.
runs() {
	local pid
	pid=$(cat "$state/pid/$1" 2>/dev/null) || return 1
	ps -o command= -p "$pid" 2>/dev/null | grep -qF "$state/" || return 1
	echo "$pid"
}

# running counts the parts that run.
running() {
	local part count=0
	for part in "${parts[@]}"; do
		if runs "$part" >/dev/null; then count=$((count + 1)); fi
	done
	echo "$count"
}

# lives PID reports whether the process has not ended, reaped or not.
lives() {
	local stat
	stat=$(ps -o stat= -p "$1") && [[ $stat != Z* ]]
}

# start PART… runs parts in the background, and waits for each to be ready before
# the next.
start() {
	local part line ready since
	for part in "$@"; do
		if runs "$part" >/dev/null; then continue; fi
		describe "$part"
		printf '  %-15s' "$part"
		since=${EPOCHREALTIME/./}
		(
			set -m # a process group of its own: Ctrl-C here does not end it
			nohup "${line[@]}" >>"$state/log/$part" 2>&1 </dev/null &
			echo $! >"$state/pid/$part"
		)
		until answers "$ready"; do
			if ! lives "$(<"$state/pid/$part")" || ((${EPOCHREALTIME/./} - since > 60000000)); then
				echo "does not get ready; the end of its log:"
				tail -n 20 "$state/log/$part"
				return 1
			fi
			sleep 0.05
		done
		printf 'ready after %4d ms\n' $(((${EPOCHREALTIME/./} - since) / 1000))
	done
}

# stop PART… ends parts: with SIGTERM, and after 10 s without asking.
stop() {
	local part pid waited
	for part in "$@"; do
		pid=$(runs "$part") || continue
		kill -TERM "$pid" 2>/dev/null || true
		for ((waited = 0; waited < 200; waited++)); do
			runs "$part" >/dev/null || break
			sleep 0.05
		done
		kill -KILL "$pid" 2>/dev/null || true
		rm -f "$state/pid/$part"
	done
}
