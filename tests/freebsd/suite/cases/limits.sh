# What the processor can do at most, and softkernel on FreeBSD beside it: ESP in memory, Diffie-Hellman,
# openssl; a relay of TUN packets in UDP without VPN, and the whole server on `kernel: soft`. Per CPU
# second of the server's processes. A measurement, so not among the cases that run by themselves.

. ./network.sh
. ./measure.sh
KERNEL=soft
FORCED=true
bench=$SUITE/bin/tanuki-bench

# flat FILE: "NAME KEY VALUE" for every number of an object of objects.
flat() {
	tr '{},' '\n\n\n' <"$1" | awk -F '[":]+' '
		NF == 3 && $3 == "" {name = $2}
		NF == 3 && $3 != "" {print name, $2, $3}'
}

if "$bench" memory --seconds 0.5 >"$WORK/memory" 2>"$WORK/output" &&
	"$bench" diffie-hellman --seconds 0.3 >"$WORK/groups" 2>"$WORK/output"; then
	pass "tanuki-bench measures"
else
	fail "tanuki-bench measures" "$WORK/output"
	return
fi
keep memory_bytes_per_cpu_s "$(cat "$WORK/memory")"
keep diffie_hellman_cpu_ms "$(cat "$WORK/groups")"
flat "$WORK/memory" | awk '{rate[$1] = rate[$1] sprintf(", %s %.0f", $2, $3 * 8 / 1e6)}
	END {for (name in rate) print name rate[name]}' | sort | while read -r line; do
	say "ESP in memory, Mbit per CPU second: $line"
done
flat "$WORK/groups" | awk '{cost[$1] = cost[$1] sprintf(", %s %.3f", $2, $3)}
	END {for (name in cost) print name cost[name]}' | sort | while read -r line; do
	say "Diffie-Hellman, ms of CPU time: $line"
done

# speed NAME OPTION...: what it does with 1408 bytes at a time.
speed() {
	_name=$1
	shift
	_rate=$(openssl speed -mr -seconds 1 -bytes 1408 "$@" 2>/dev/null | sed -n 's/^+F:.*://p')
	[ -n "$_rate" ] || return 0
	keep "openssl_$_name" "$_rate"
	say "openssl, $_name, Mbit per CPU second: $(calculate "$_rate * 8 / 1000000")"
}
if command -v openssl >/dev/null; then
	speed aes128_cbc -evp aes-128-cbc
	speed aes128_cbc_decrypt -decrypt -evp aes-128-cbc
	speed hmac_sha1 -hmac sha1
	speed aes128_gcm -aead -evp aes-128-gcm
else
	skip "openssl" "not installed"
fi

if ! command -v nc >/dev/null; then
	skip "throughput" "no nc"
	return
fi
network_up || return
dd if=/dev/random of="$WORK/sent" bs=1m count="$MEGABYTES" 2>/dev/null
sed -i '' 's/level: debug/level: info/' "$(runtime server)"/*.yaml "$(runtime client)"/*.yaml

# relay SIDE ADDRESS LOCAL PEER
relay() {
	inside "$1" "$bench" relay --device "bench-$1" --local "$3:4500" --peer "$4:4500" \
		>"$WORK/relay-$1" 2>&1 &
	echo $! >"$WORK/relay-$1.pid"
	await 20 grep -q ready "$WORK/relay-$1" &&
		inside "$1" ifconfig "bench-$1" inet "$2/24" mtu 1400 up
}

start_relay() {
	relay server $INNER $SERVER $CLIENT && relay client 10.77.0.10 $CLIENT $SERVER || return
	pids=$(cat "$WORK/relay-server.pid")
}

stop_relay() {
	for _side in server client; do
		[ ! -e "$WORK/relay-$_side.pid" ] || kill "$(cat "$WORK/relay-$_side.pid")"
		rm -f "$WORK/relay-$_side.pid"
	done
	# A device whose process is gone stays.
	for _side in server client; do
		inside $_side ifconfig "bench-$_side" destroy
	done
}

start_suite() {
	printf 'phase2: {suites: [%s]}\n' "$1" >"$WORK/phase2"
	for _side in server client; do
		_file=$(runtime $_side)/ike-daemon.yaml
		sed -i '' '/^phase2:/d' "$_file"
		cat "$WORK/phase2" >>"$_file"
	done
	start_side server && start_side client && pids=$(daemons server)
}

start_cbc() {
	start_suite aes128-sha1
}

start_gcm() {
	start_suite aes128-gcm
}

stop_cbc() {
	stop_side client
	stop_side server
}

stop_gcm() {
	stop_cbc
}

undo stop_relay

name_of() {
	case $1 in
	relay) echo "I/O limit (no VPN)" ;;
	cbc) echo "softkernel AES-CBC SHA1" ;;
	gcm) echo "softkernel AES-GCM-16" ;;
	esac
}

# turn WHO: a transfer each way, megabits per CPU second.
turn() {
	start_$1 && await 60 online || return
	for _way in download upload; do
		_before=$(cpu $pids)
		$_way
		_after=$(cpu $pids)
		cmp "$WORK/sent" "$WORK/received" || return
		calculate "$MEGABYTES * 8.388608 / ($_after - $_before)" >>"$WORK/$1-$_way"
	done
	stop_$1
}

for round in $(seq "$ROUNDS"); do
	for who in cbc gcm relay; do
		if turn $who >"$WORK/output" 2>&1; then
			pass "round $round, $(name_of $who): $(tail -n 1 "$WORK/$who-download") and $(tail -n 1 \
				"$WORK/$who-upload") Mbit per CPU second"
		else
			cat "$WORK"/relay-* >>"$WORK/output" 2>/dev/null
			fail "round $round, $(name_of $who)" "$WORK/output"
			return
		fi
	done
done
# both SUITE KEY WAY: megabits per CPU second of doing one thing after the other, in memory and relayed.
both() {
	_crypto=$(flat "$WORK/memory" | awk -v suite="$1" -v key="$2" '$1 == suite && $2 == key {print $3 * 8 / 1e6}')
	calculate "1 / (1 / $_crypto + 1 / $(median "$WORK/relay-$3"))"
}

for who in cbc gcm relay; do
	for way in download upload; do
		share=
		case $who-$way in
		cbc-download) share=$(both aes128-cbc-sha1 seal $way) ;;
		cbc-upload) share=$(both aes128-cbc-sha1 open $way) ;;
		gcm-download) share=$(both aes128-gcm16 seal $way) ;;
		gcm-upload) share=$(both aes128-gcm16 open $way) ;;
		esac
		[ -z "$share" ] ||
			share=", $(calculate "100 * $(median "$WORK/$who-$way") / $share") % of both limits together"
		say "$(name_of $who), $way, Mbit per CPU second: $(spread "$WORK/$who-$way")$share"
		keep "${who}_${way}_mbit_per_cpu_s" "$(list "$WORK/$who-$way")"
	done
done
