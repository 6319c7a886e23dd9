# The whole server and our own client, each in a VNET jail of its own on this one kernel.

. ./network.sh
network_up || return

check "the server's daemons start" start_side server
check "the client's daemons start" start_side client
eventually "the client is online" 60 online
check "ping through the tunnel" inside client ping -c 5 -i 0.2 -t 10 $INNER

shows "SAs are in the kernel" 'esp mode=transport' inside server setkey -D
shows "policies are in the kernel" '1701' inside server setkey -DP
shows "the graph is in the kernel" 'l2tp' inside server ngctl list
shows "ikectl shows the client" "$CLIENT" ctl server ikectl show ike
shows "ikectl shows the SAs" "$CLIENT" ctl server ikectl show ipsec
shows "l2tpctl shows the session" alice ctl server l2tpctl show sessions
shows "L2TP travels as ESP" 'ESP' observed

# What the daemons do not see costs them nothing. Seconds of CPU time of both.
cpu() {
	for _name in ike-daemon l2tpd; do
		ps -o time= -p "$(cat "$(runtime server)/$_name/$_name.pid")"
	done | awk -F '[:.]' '{cpu += 60 * $1 + $2 + $3 / 100} END {print cpu}'
}
if command -v nc >/dev/null; then
	dd if=/dev/random of="$WORK/sent" bs=1m count=16 2>/dev/null
	before=$(cpu) began=$(date +%s)
	check "a download through the tunnel" download
	after=$(cpu)
	check "it arrived whole" cmp "$WORK/sent" "$WORK/received"
	# Ten thousand packets each way cost no more than as much time without any.
	sleep $(($(date +%s) - began))
	rest=$(cpu)
	check "which cost the daemons no CPU time: $before s, then $after s, at rest $rest s" \
		awk "BEGIN {exit !(($after - $before) - ($rest - $after) < 1)}"
else
	skip "a download through the tunnel" "no nc"
fi

# A restart of either daemon while packets flow.
for name in ike-daemon l2tpd; do
	inside client ping -c 60 -i 0.1 $INNER >"$WORK/pings" 2>&1 &
	ping=$!
	check "$name hands over" hand_over server $name
	wait $ping
	shows "no ping is lost over it" ' 0.0% packet loss' cat "$WORK/pings"
done
check "the session is still known" sh -c "$(ctl_line server l2tpctl show sessions) | grep -q alice"

# In the clear nothing gets in.
stop_side client
eventually "the server forgets the client" 30 offline
check "clear L2TP is not answered" clear_is_dropped
stop_side server
check "no SAs are left" sh -c "jexec tanuki-server setkey -D | grep -q 'No SAD'"
check "no policies are left" sh -c "jexec tanuki-server setkey -DP | grep -q 'No SPD'"
check "no nodes are left" sh -c '! jexec tanuki-server ngctl list | grep -q tanuki'
network_down
