# The whole server and our own client once more, with nothing of them in the kernel: `kernel: soft`.

. ./network.sh
KERNEL=soft
# A kernel with IPsec keeps all ESP that is not in UDP.
if loaded ipsec; then
	FORCED=true
	wire='udp port 4500'
else
	wire='proto 50'
fi
network_up || return

check "the server's daemons start" start_side server
check "the client's daemons start" start_side client
eventually "the client is online" 60 online
check "ping through the tunnel" inside client ping -c 5 -i 0.2 -t 10 $INNER

inner_client() {
	ctl server l2tpctl show sessions --json | grep -Eo '10\.77\.0\.1[0-9]' | head -n 1
}
shows "the device has our address" "inet $INNER" inside server ifconfig tanuki0
shows "the client is routed to it" 'interface: tanuki0' inside server route -n get "$(inner_client)"
shows "with the session's MTU" ' 1400 ' inside server route -n get "$(inner_client)"
too_long() {
	! inside server ping -D -c 1 -t 2 -s 1400 "$(inner_client)"
}
check "what does not fit is told so" too_long
shows "what may be cut passes" ' 0.0% packet loss' inside server ping -c 2 -s 3000 "$(inner_client)"
check "no SA is the kernel's" sh -c "jexec tanuki-server setkey -D | grep -q 'No SAD'"
check "no node is the kernel's" sh -c '! jexec tanuki-server ngctl list | grep -q tanuki'
on_the_wire() {
	inside server tcpdump -c 2 -nti "${CABLE}a" $wire 2>&1 &
	_dump=$!
	inside client ping -c 5 -i 0.3 $INNER >/dev/null
	wait $_dump
}
shows "L2TP travels as ESP ($wire)" 'ESP' on_the_wire

if command -v nc >/dev/null; then
	# Every packet is worth milliseconds in a program without optimisation on an emulated machine.
	dd if=/dev/random of="$WORK/sent" bs=64k count=8 2>/dev/null
	check "a download through the tunnel" download
	check "it arrived whole" cmp "$WORK/sent" "$WORK/received"
else
	skip "a download through the tunnel" "no nc"
fi

# What a killed one leaves, the next takes over.
crash server softkernel
check "softkernel starts after a crash" start_daemon server softkernel
# The client notices by its HELLO (RFC 2661 section 5.5), which it sends after a minute of silence.
eventually "the client is online after it" 240 online

stop_side client
stop_side server
[ $FORCED = true ] || check "nobody has loaded IPsec" eval '! loaded ipsec'
check "no device is left" sh -c '! jexec tanuki-server ifconfig tanuki0'
check "no socket is left" nothing find "$(runtime server)/softkernel" -type s
network_down
