# Two clients behind one NAT with the same L2TP port and the same private network: the kernel cannot
# tell them apart after decapsulation. The first is the kernel's, softkernel carries the second.

. ./network.sh

nat_up() {
	network_up || return 1
	if ! { loaded pf || kldload pf; } 2>/dev/null || ! command -v pfctl >/dev/null; then
		skip "two clients behind one NAT" "no pf"
		return 1
	fi
	loaded if_tuntap || kldload if_tuntap
	undo nat_down
	# The cable's other end becomes the NAT's, and each client gets a cable to the NAT.
	jail -r tanuki-client
	jail -c name=tanuki-nat host.hostname=nat path=/ vnet vnet.interface="${CABLE}b" \
		allow.raw_sockets persist || return 1
	inside nat ifconfig "${CABLE}b" "$CLIENT/24" up
	inside nat sysctl net.inet.ip.forwarding=1
	_number=0
	for _name in client second; do
		_number=$((_number + 1))
		_cable=$(ifconfig epair create) || return 1
		_cable=${_cable%a}
		undo "ifconfig ${_cable}a destroy"
		ifconfig "${_cable}a" vnet tanuki-nat
		jail -c name=tanuki-$_name host.hostname=$_name path=/ vnet \
			vnet.interface="${_cable}b" allow.raw_sockets persist || return 1
		inside nat ifconfig "${_cable}a" 10.1.$_number.1/24 up
		inside $_name ifconfig lo0 127.0.0.1/8 up
		inside $_name ifconfig "${_cable}b" 10.1.$_number.2/24 up
		inside $_name route -q add default 10.1.$_number.1
		configure_client "$(runtime $_name)"
	done
	echo "nat on ${CABLE}b inet from 10.1.0.0/16 to any -> $CLIENT" |
		inside nat pfctl -qef - || return 1
}

nat_down() {
	stop_side second
	stop_side client
	for _name in second client nat; do
		jail -r tanuki-$_name 2>/dev/null
	done
}

nat_up || return

check "softkernel starts beside the kernel" start_daemon server softkernel
check "the server's daemons start" start_side server
for name in client second; do
	check "$name starts" start_side $name
	eventually "$name is online" 60 inside $name ping -c 1 -t 2 $INNER
done
check "two sessions" sh -c "[ \$($(ctl_line server l2tpctl show sessions) | grep -c alice) -eq 2 ]"

both_ping() {
	for _each in client second; do
		inside $_each ping -c 20 -i 0.2 $INNER >"$WORK/ping-$_each" 2>&1 &
	done
	wait
	cat "$WORK/ping-client" "$WORK/ping-second"
	[ "$(cat "$WORK"/ping-* | grep -c ' 0.0% packet loss')" -eq 2 ]
}
check "both ping at once and lose nothing" both_ping
shows "one of them is the kernel's" 'system' ctl server ikectl show ike
shows "one of them is softkernel's" 'soft' ctl server ikectl show ike
shows "the kernel has a pair of SAs" 'esp-udp mode=transport' inside server setkey -D
shows "softkernel has a session's route" 'interface: tanuki0' sh -c '
	for address in 10.77.0.10 10.77.0.11; do jexec tanuki-server route -n get $address; done'

# Neither disturbs the other: the second leaves, comes back, and the first has lost nothing.
inside client ping -c 100 -i 0.1 $INNER >"$WORK/pings" 2>&1 &
ping=$!
stop_side second
start_side second
eventually "the second is online again" 60 inside second ping -c 1 -t 2 $INNER
wait $ping
shows "the first has lost nothing meanwhile" ' 0.0% packet loss' cat "$WORK/pings"

# The NAT forgets: both clients get other ports. The kernel drops ESP from there and says nothing; the
# clients' keepalives tell.
peers() {
	ctl server ikectl show ike | awk '$3 == "established" { print $5 }' | sort -u
}
before=$(peers)
inside nat pfctl -q -F states
for name in client second; do
	eventually "$name is online with another mapping" 60 inside $name ping -c 1 -t 2 $INNER
done
check "the server knows the new ports" test "$before" != "$(peers)"

# With ports that differ the kernel has both, and each tunnel its own SAs.
stop_side second
sed -i '' 's/local_port: 1701/local_port: 40123/' "$(runtime second)/ike-daemon.yaml"
sed -i '' "s/server: $SERVER/local: \"10.1.2.2:40123\", &/" "$(runtime second)/l2tpd.yaml"
start_side second
eventually "the second is online from another port" 60 inside second ping -c 1 -t 2 $INNER
check "both are the kernel's" sh -c "! $(ctl_line server ikectl show ike) | grep -q soft"
check "both ping at once and lose nothing in the kernel" both_ping
check "each tunnel has a reqid of its own" sh -c "
	[ \$($(ctl_line server l2tpctl show tunnels --json) | grep -o '\"reqid\": *[0-9]*' | sort -u | wc -l) -eq 2 ]"

stop_side second
stop_side client
stop_side server
check "no SAs are left" sh -c "jexec tanuki-server setkey -D | grep -q 'No SAD'"
check "no policies are left" sh -c "jexec tanuki-server setkey -DP | grep -q 'No SPD'"
check "no device is left" sh -c '! jexec tanuki-server ifconfig tanuki0'
