# What a connection (IKE, L2TP, PPP) and its end cost the server's daemons on FreeBSD's kernel, beside
# racoon and mpd5 where those are installed: same clients, same kernel, by turns. And what packets cost
# them: nothing. A measurement, so not among the cases that run by themselves.

. ./network.sh
. ./measure.sh
network_up || return

# The clients are tanuki-load's. racoon and mpd5 tell them apart by nothing but their addresses, and mpd5
# keeps a tunnel whose client has gone for a minute; so each has an address that nobody had before, of the
# next network of 14 hosts.
CLIENTS=14
TRACED=4
BATCHES=${BATCHES:-3}
last=$((16 * (BATCHES + 3) - 1))
for host in $(seq 16 $last); do
	inside client ifconfig "${CABLE}b" "192.0.2.$host/32" alias
done
sed -i '' 's/level: debug/level: info/' "$(runtime server)"/*.yaml
sed -i '' 's/10.77.0.10-10.77.0.20/10.77.0.10-10.77.0.99/' "$(runtime server)/l2tpd.yaml"
# One proposal each, what tanuki-load offers and both have, so that both servers compute the same.
echo 'phase1: {ciphers: [aes256], hashes: [sha256], groups: [modp2048]}
phase2: {suites: [aes128-sha256]}' >>"$(runtime server)/ike-daemon.yaml"

peers=$(runtime peers)
mkdir -p "$peers" /var/db/racoon
for host in $(seq 16 $last); do
	echo "192.0.2.$host a-secret-of-the-suite-7f3a"
done >"$peers/psk.txt"
echo 'alice wonderland' >"$peers/mpd.secret"
chmod 600 "$peers/psk.txt" "$peers/mpd.secret"
cat >"$peers/racoon.conf" <<END
path pre_shared_key "$peers/psk.txt";
listen { isakmp $SERVER [500]; isakmp_natt $SERVER [4500]; adminsock disabled; }
remote anonymous {
	exchange_mode main; passive on; generate_policy on; proposal_check obey; nat_traversal on;
	proposal {
		encryption_algorithm aes 256; hash_algorithm sha256;
		authentication_method pre_shared_key; dh_group modp2048;
	}
}
sainfo anonymous {
	lifetime time 8 hour; encryption_algorithm aes 128;
	authentication_algorithm hmac_sha256; compression_algorithm deflate;
}
END
cat >"$peers/mpd.conf" <<END
startup:
default:
	load l2tp_server
l2tp_server:
	set ippool add pool 10.77.0.10 10.77.0.99
	create bundle template B
	set iface enable tcpmssfix
	set ipcp ranges $INNER/32 ippool pool
	create link template L l2tp
	set link action bundle B
	set link disable pap chap eap
	set link enable chap-msv2
	set link mtu 1400
	set l2tp self $SERVER
	set link enable incoming
END

start_tanuki() {
	start_side server && pids=$(daemons server)
}

stop_tanuki() {
	stop_side server
}

theirs() {
	inside server pgrep -x 'racoon|mpd5'
}

both_listen() {
	[ "$(inside server sockstat -4l | grep -Ec '(racoon|mpd5) .*:(500|1701) ')" -ge 2 ]
}

start_peers() {
	inside server racoon -f "$peers/racoon.conf" -l "$peers/racoon.log" &&
		inside server mpd5 -b -d "$peers" -p "$peers/mpd.pid" &&
		await 20 both_listen && pids=$(theirs)
}

stop_peers() {
	[ -z "$(theirs)" ] || kill $(theirs)
	while theirs >/dev/null; do sleep 0.2; done
	inside server setkey -F
	inside server setkey -FP
}

undo stop_peers

sessions_gone() {
	! inside server ifconfig -l | grep -q 'ng[0-9]'
}

# batch NUMBER: so many clients come, four at a time, and go.
batch() {
	network=$((network + 16))
	inside client "$SUITE/bin/tanuki-load" --server $SERVER --psk a-secret-of-the-suite-7f3a \
		--user alice --password wonderland --clients "$1" --from "192.0.2.$network/28" --concurrency 4 \
		--timeout 120 && await 60 sessions_gone
}

each_cpu() {
	for _pid in $pids; do
		echo "$(ps -o comm= -p "$_pid") $(cpu "$_pid")"
	done | sort
}

# turn WHO: milliseconds of CPU time of a connection; those of the first batch are not counted.
turn() {
	network=0
	start_$1 && batch $CLIENTS || return
	each_cpu >"$WORK/before"
	for _batch in $(seq $BATCHES); do
		batch $CLIENTS || return
	done
	each_cpu >"$WORK/after"
	join "$WORK/before" "$WORK/after" | awk -v n=$((BATCHES * CLIENTS)) -v file="$WORK/cost-$1" '{
			each = ($3 - $2) * 1000 / n
			sum += each
			printf "%.2f\n", each >>(file "-" $1)
		}
		END {printf "%.2f\n", sum >>file}'
	calls_of batch $TRACED >"$WORK/trace-$1" || return
	calculate "$(wc -l <"$WORK/trace-$1") / $TRACED" >>"$WORK/calls-$1"
	stop_$1
}

# calls_of COMMAND...: the names of the system calls of the daemons meanwhile, one a line.
calls_of() {
	rm -f "$WORK/ktrace"
	for _pid in $pids; do
		ktrace -t c -f "$WORK/ktrace" -p "$_pid" || return
	done
	"$@" >&2
	_code=$?
	ktrace -C
	kdump -f "$WORK/ktrace" | awk '$3 == "CALL" {sub("[(].*", "", $4); print $4}'
	return $_code
}

names_of() {
	case $1 in
	tanuki) echo 'ike-daemon l2tpd' ;;
	peers) echo 'racoon mpd5' ;;
	esac
}

name_of() {
	names_of "$1" | sed 's/ / and /'
}

everybody=tanuki
if command -v racoon >/dev/null && command -v mpd5 >/dev/null; then
	everybody='tanuki peers'
else
	skip "beside racoon and mpd5" "they are not installed: pkg install ipsec-tools mpd5"
fi
for round in $(seq "$ROUNDS"); do
	for who in $everybody; do
		if turn $who >"$WORK/output" 2>&1; then
			pass "round $round, $(name_of $who): $(tail -n 1 "$WORK/cost-$who") ms, $(tail -n 1 \
				"$WORK/calls-$who") system calls"
		else
			tail -n 20 "$peers"/*.log "$(runtime server)"/*.log >>"$WORK/output" 2>&1
			fail "round $round, $(name_of $who)" "$WORK/output"
			return
		fi
	done
done
for who in $everybody; do
	parts=
	for name in $(names_of $who); do
		parts="$parts${parts:+, }$name $(median "$WORK/cost-$who-$name")"
		keep "connect_cpu_ms_$name" "$(list "$WORK/cost-$who-$name")"
	done
	say "CPU time of a connection and its end, $(name_of $who): $(spread "$WORK/cost-$who") ms ($parts)," \
		"$(spread "$WORK/calls-$who") system calls"
	sort "$WORK/trace-$who" | uniq -c | sort -rn | head -n 5 | awk -v n=$TRACED '
		{all = all sep sprintf("%s %.1f", $2, $1 / n); sep = ", "} END {print "# most of them: " all}'
	keep "connect_cpu_ms_$who" "$(list "$WORK/cost-$who")"
	keep "connect_system_calls_$who" "$(list "$WORK/calls-$who")"
done
if [ "$everybody" != tanuki ]; then
	ours=$(median "$WORK/cost-tanuki") theirs=$(median "$WORK/cost-peers")
	say "racoon and mpd5 take $(calculate "$theirs / $ours") times the CPU time," \
		"$(calculate "$(median "$WORK/calls-peers") / $(median "$WORK/calls-tanuki")") times the system calls"
	check "no more CPU time than racoon and mpd5" awk "BEGIN {exit !($ours <= $theirs)}"
	keep peers "\"$(racoon -V 2>&1 | grep -o 'ipsec-tools [0-9.]*' | head -n 1), mpd $(mpd5 -v 2>&1 |
		sed -n 's/^[Vv]ersion \([0-9.]*\).*/\1/p')\""
fi

# Packets of a session, and as long without any.
pushed() {
	check "the daemons of the server start" start_tanuki
	check "those of the client" start_side client
	eventually "the client is online" 60 online
	dd if=/dev/random of="$WORK/sent" bs=1m count="$MEGABYTES" 2>/dev/null
	for _way in download upload; do
		_began=$(date +%s) _before=$(cpu $pids)
		check "$_way of $MEGABYTES MiB" eval "calls_of $_way >'$WORK/busy'"
		_after=$(cpu $pids) _took=$(($(date +%s) - _began))
		check "it arrived whole" cmp "$WORK/sent" "$WORK/received"
		calls_of sleep $_took >"$WORK/idle" 2>/dev/null
		_rest=$(cpu $pids)
		_cost=$(calculate "1000 * ($_after - $_before)")
		_idle=$(calculate "1000 * ($_rest - $_after)")
		say "$_way of $MEGABYTES MiB in $_took s: $_cost ms of the daemons' CPU time and" \
			"$(($(wc -l <"$WORK/busy"))) system calls; in as many seconds of rest $_idle ms and" \
			"$(($(wc -l <"$WORK/idle")))"
		keep "${_way}_cpu_ms" "$_cost"
		keep "${_way}_idle_cpu_ms" "$_idle"
		# Fewer than one for a hundred packets each way: what timers do.
		check "which is not the daemons' work" test "$(wc -l <"$WORK/busy")" -lt \
			$((MEGABYTES * 8 + $(wc -l <"$WORK/idle")))
	done
	stop_side client
	stop_side server
}
if command -v nc >/dev/null; then
	pushed
else
	skip "what packets cost" "no nc"
fi
