# Clients whose suite or address family this kernel cannot serve: softkernel carries them beside it.
# The client is on softkernel alone, for its kernel is the same.

. ./network.sh
network_up || return

# configured SERVER CLIENT: both sides anew, with these lines in their ike-daemon.yaml.
configured() {
	KERNEL=system
	configure_server "$(runtime server)"
	echo 'listen: ["0.0.0.0", "::"]' >>"$(runtime server)/l2tpd.yaml"
	KERNEL=soft
	configure_client "$(runtime client)"
	echo "$1" >>"$(runtime server)/ike-daemon.yaml"
	echo "$2" >>"$(runtime client)/ike-daemon.yaml"
}

# carried NAME REASON: from the start of both sides until the client is online.
carried() {
	check "$1: softkernel starts beside the kernel" start_daemon server softkernel
	check "$1: the server's daemons start" start_side server
	check "$1: the client's daemons start" start_side client
	eventually "$1: the client is online" 60 online
	check "$1: ping through the tunnel" inside client ping -c 5 -i 0.2 -t 10 $INNER
	shows "$1: softkernel carries the client" ' soft ' ctl server ikectl show ike
	check "$1: no SA is the kernel's" sh -c "jexec tanuki-server setkey -D | grep -q 'No SAD'"
	shows "$1: the log says why" "client carried.*$2" cat "$(runtime server)/ike-daemon.log"
}

gone() {
	stop_side client
	stop_side server
	check "$1: no policies are left" sh -c "jexec tanuki-server setkey -DP | grep -q 'No SPD'"
	check "$1: no device is left" sh -c '! jexec tanuki-server ifconfig tanuki0'
	rm -f "$(runtime server)"/*.log "$(runtime client)"/*.log
}

# Lengths of the encapsulated ESP packets (UDP payloads) while pings are on their way.
lengths() {
	inside server tcpdump -c 4 -nti "${CABLE}a" udp port 4500 and greater 150 >"$WORK/packets" 2>&1 &
	_dump=$!
	inside client ping -c 5 -i 0.3 $INNER >/dev/null
	wait $_dump
	cat "$WORK/packets"
	sed -n 's/.*ESP(.*length \([0-9]*\)$/\1/p' "$WORK/packets" >"$WORK/lengths"
	[ -s "$WORK/lengths" ]
}

# all_are REMAINDER MODULUS
all_are() {
	lengths && awk -v r="$1" -v m="$2" '$1 % m != r {exit 1}' "$WORK/lengths"
}

# No NAT, and phase 1 has nothing better than 3DES: the server announces a NAT at once.
configured 'phase2: {allow_3des: true}' \
	'phase1: {ciphers: [3des], hashes: [sha1], groups: [modp2048]}
phase2: {allow_3des: true, suites: [3des-sha1]}'
carried 3DES "has no 3des"
# SPI, number, IV of 8, blocks of 8, ICV of 12: never a multiple of 8. Not all have AES's 16.
check "3DES: the packets' lengths are those of 8-octet blocks" all_are 4 8
check "3DES: in UDP because the server said so" \
	grep -q "$CLIENT[^ ]*4500" "$(runtime server)/ike-daemon.log"
gone 3DES

# No NAT, and phase 1 does not tell what phase 2 will ask for: its first Quick Mode fails, the next
# phase 1 from that address hears of a NAT.
short='phase2: {sha2_96: true, suites: [aes128-sha256]}'
configured "$short" "$short"
carried "96-bit ICV" "has no aes-cbc-128/hmac-sha2-256"
# SPI, number, IV of 16, blocks of 16, and the ICV: of 12 octets, not of RFC 4868's 16.
check "96-bit ICV: the packets' lengths are those of 12 octets" all_are 4 16
gone "96-bit ICV"

SERVER=$SERVER6 CLIENT=$CLIENT6
FORCED=true
configured '' ''
carried "IPv6 in UDP" "no ESP in UDP over IPv6"
shows "IPv6 in UDP: IKE is over IPv6" "$CLIENT6" ctl server ikectl show ike
gone "IPv6 in UDP"

# What that kernel has is its own.
FORCED=false
KERNEL=system
configure_server "$(runtime server)"
echo 'listen: ["0.0.0.0", "::"]' >>"$(runtime server)/l2tpd.yaml"
configure_client "$(runtime client)"
check "IPv6: softkernel starts beside the kernel" start_daemon server softkernel
check "IPv6: the server's daemons start" start_side server
check "IPv6: the client's daemons start" start_side client
eventually "IPv6: the client is online" 60 online
check "IPv6: ping through the tunnel" inside client ping -c 5 -i 0.2 -t 10 $INNER
shows "IPv6: the kernel carries the client" ' system ' ctl server ikectl show ike
shows "IPv6: SAs are in the kernel" "^$CLIENT6 $SERVER6" inside server setkey -D
shows "IPv6: the graph is in the kernel" 'tanuki-t.* l2tp' inside server ngctl list
stop_side client
stop_side server
check "IPv6: no SAs are left" sh -c "jexec tanuki-server setkey -D | grep -q 'No SAD'"
check "IPv6: no policies are left" sh -c "jexec tanuki-server setkey -DP | grep -q 'No SPD'"
check "IPv6: no nodes are left" sh -c '! jexec tanuki-server ngctl list | grep -q tanuki'
