# l2tpd on the kernel's netgraph: what is its own, what is not, and what it lets in.

. ./network.sh
network_up || return

policies() {
	inside server setkey -DP | awk '/udp/ { line = $0 } /ipsec/ { line = line " " $1 }
		/esp\// { print line " " $1 }' | grep -F '[1701]'
}
protected() {
	[ "$(policies | grep -c '0.0.0.0/0.*esp/transport//require')" -eq 2 ]
}

# Policies before the port, and only l2tpd's own go with it.
start_daemon server ike-daemon
setkey_server() {
	inside server setkey -c
}
echo 'spdadd 0.0.0.0/0[any] 0.0.0.0/0[1701] udp -P in none;' | setkey_server
refused "l2tpd with a policy that lets clear text in" 78 'spddelete' start_daemon server l2tpd
echo 'spdflush; spdadd 198.51.100.7[any] 0.0.0.0/0[any] tcp -P in none;' | setkey_server
check "l2tpd starts" start_daemon server l2tpd
check "policies for UDP 1701 are there" protected
check "clear L2TP is not answered" clear_is_dropped
echo 'spdflush;' | setkey_server
eventually "policies that somebody removed come back" 5 protected
echo 'spdadd 198.51.100.7[any] 0.0.0.0/0[any] tcp -P in none;' | setkey_server

# One l2tpd on a kernel.
mkdir -p "$WORK/other"
refused "a second l2tpd on this kernel" 75 'another l2tpd' \
	inside server /usr/local/sbin/l2tpd -c "$(runtime server)/l2tpd.yaml" --runtime-dir "$WORK/other"

# Nodes of others: an interface, and a name like ours.
inside server ngctl mkpeer iface inet inet
inside server ngctl name ng0: tanuki-other
others() {
	inside server ngctl show tanuki-other: | grep -q 'Type: iface'
}

start_side client
eventually "the client is online" 60 online
check "its socket takes its own SAs only" sh -c '
	reqid=$(jexec tanuki-server setkey -D | sed -n "s/.*reqid=\([0-9]*\).*/\1/p" | sort -u)
	'"$(ctl_line server l2tpctl show tunnels)"' | grep -w "$reqid"'

# The client sends from an address that is not its own.
inside client ifconfig lo0 10.99.0.1/32 alias
filtered() {
	_node=$(inside server ngctl list | sed -n 's/.*Name: \(tanuki-f[^ ]*\) .*/\1/p')
	inside server ngctl msg "$_node:" getstats '"ppp"' | sed -n "s/.*$1=\([0-9]*\).*/\1/p"
}
match_before=$(filtered recvMatchFrames) all_before=$(filtered recvFrames)
inside client ping -S 10.99.0.1 -c 3 -i 0.2 -t 3 $INNER >/dev/null
check "a forged source comes to the filter" test "$(filtered recvFrames)" -ge $((all_before + 3))
check "and no further" test "$(filtered recvMatchFrames)" -eq "$match_before"
check "the client's own passes" inside client ping -c 3 -i 0.2 -t 10 $INNER

# A crash, and what the next process removes.
crash server l2tpd
start_daemon server l2tpd
eventually "the client is online after a crash" 60 online
check "others' nodes are still there" others
check "others' policies are still there" sh -c "jexec tanuki-server setkey -DP | grep -q 198.51.100.7"
stop_side client

# The address that the client dialled answers.
inside server ifconfig "${CABLE}a" 192.0.2.9/32 alias
sed -i '' "s/$SERVER/192.0.2.9/" "$(runtime client)"/*.yaml
start_side client
eventually "online by the server's second address" 60 online
shows "the tunnel is with that address" '192\.0\.2\.9' inside server setkey -D
stop_side client

# Fifty at once over one pair of SAs, as far as the kernel is concerned: fifty sockets and graphs.
SESSIONS=50
configure_client "$(runtime client)"
sed -i '' 's/local_port: 1701/local_port: 0/' "$(runtime client)/ike-daemon.yaml"
sed -i '' 's/10.77.0.10-10.77.0.20/10.77.0.10-10.77.0.99/' "$(runtime server)/l2tpd.yaml"
check "the server takes a larger pool" ctl server l2tpctl reload
{
	echo "kernel: system"
	echo "listen: []"
	echo "connections:"
	_number=0
	while [ $_number -lt $SESSIONS ]; do
		echo "  c$_number: {server: $SERVER, local: \"$CLIENT:$((2000 + _number))\", user: alice," \
			"password: wonderland, automatic: true, retry: 1}"
		_number=$((_number + 1))
	done
	echo "log: {level: info, target: {file: $(runtime client)/l2tpd.log}}"
} >"$(runtime client)/l2tpd.yaml"
start_side client
sessions() {
	_up=$(ctl server l2tpctl show sessions | grep -c ' up ')
	echo "$_up of $SESSIONS are up"
	[ "$_up" -eq $SESSIONS ]
}
eventually "$SESSIONS sessions are up" 120 sessions
# One is another's. The socket buffer of ngctl(8) has no room for the names of so many nodes.
interfaces() {
	_interfaces=$(inside server ifconfig -l | tr ' ' '\n' | grep -c '^ng[0-9]')
	echo "$_interfaces interfaces"
	[ "$_interfaces" -eq $((SESSIONS + 1)) ]
}
check "each has its interface" interfaces
crash server l2tpd
start_daemon server l2tpd
eventually "a process after a crash takes all up" 30 sessions
check "with their interfaces" interfaces
stop_side client
eventually "all are gone with the client" 30 sh -c "! $(ctl_line server l2tpctl show sessions) | grep -q alice"

check "others' nodes are still there" others
stop_side server
check "no nodes of ours are left" sh -c '
	[ "$(jexec tanuki-server ngctl list | grep -c tanuki-)" -eq 1 ]'
check "only the policy of another is left" sh -c '
	[ "$(jexec tanuki-server setkey -DP | grep -c spid=)" -eq 1 ] &&
	jexec tanuki-server setkey -DP | grep -q 198.51.100.7'
network_down
