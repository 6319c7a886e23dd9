# IPv6 inside the tunnel: IPV6CP opens, and both ends' ngN have link-local addresses that answer; then
# with a prefix, of which the client's kernel makes an address.

. ./network.sh
network_up || return
echo 'ipv6: true' >>"$(runtime server)/l2tpd.yaml"
sed -i '' 's/automatic: true/&, ipv6: true/' "$(runtime client)/l2tpd.yaml"

# link_local SIDE: the address of its session's interface.
link_local() {
	inside "$1" ifconfig ng0 inet6 | sed -n 's/.*inet6 \(fe80:[^% ]*\)%.*/\1/p'
}

both_have_one() {
	[ "$(link_local server | wc -l)" -eq 1 ] && [ "$(link_local client | wc -l)" -eq 1 ]
}

check "the server's daemons start" start_side server
check "the client's daemons start" start_side client
eventually "the client is online" 60 online
eventually "both interfaces have a link-local address" 20 both_have_one
ours=$(link_local server) theirs=$(link_local client)
check "and they differ: $ours, $theirs" test "$ours" != "$theirs"
shows "the client reaches the server's" ' 0.0% packet loss' \
	inside client ping -6 -c 5 -i 0.2 "$ours%ng0"
shows "the server reaches the client's" ' 0.0% packet loss' \
	inside server ping -6 -c 5 -i 0.2 "$theirs%ng0"
check "IPv4 works beside it" inside client ping -c 3 -t 10 $INNER
# RFC 5072 section 4.1: the interface identifiers are what the addresses are made of.
shows "nothing but link-local addresses" '^1$' \
	sh -c 'jexec tanuki-server ifconfig ng0 | grep -c inet6'

stop_side client
stop_side server
check "no nodes are left" sh -c '! jexec tanuki-server ngctl list | grep -q tanuki'

sed -i '' 's|^ipv6: true|ipv6: {prefixes: ["2001:db8:99::/48"], dns: ["2001:db8:1::53"]}|' \
	"$(runtime server)/l2tpd.yaml"
sed -i '' 's|ipv6: true|&, routes: ["2001:db8:1::/48"]|' "$(runtime client)/l2tpd.yaml"
inside client sysctl net.inet6.ip6.accept_rtadv=1 >/dev/null
# Something behind the server, and a source that is not the client's.
inside server ifconfig lo0 inet6 2001:db8:1::1/128 alias
inside client ifconfig lo0 inet6 2001:db8:bad::1/128 alias

solicitations() {
	ctl server l2tpctl show stats | sed -n 's/^server.solicitations //p'
}

more_than() {
	[ "$(solicitations)" -gt "$1" ]
}

check "with a prefix: the server's daemons start" start_side server
check "with a prefix: the client's daemons start" start_side client
eventually "with a prefix: the client is online" 60 online
# As long as it is tentative (RFC 4862 section 5.4), packets have another source.
eventually "the client's kernel makes an address of it" 30 \
	sh -c 'jexec tanuki-client ifconfig ng0 inet6 | grep "inet6 2001:db8:99:.*autoconf" |
		grep -qv tentative'
shows "the session has it" '2001:db8:99:.*/64' ctl server l2tpctl show sessions
shows "it is routed to the interface" '2001:db8:99:.*/64 .*ng0' inside server netstat -rn6
shows "what is behind the server is reached" ' 0.0% packet loss' \
	inside client ping -6 -c 5 -i 0.2 2001:db8:1::1
inside server route -q -6 add 2001:db8:bad::1 -iface ng0
shows "from another source it is not" ' 100.0% packet loss' \
	sh -c 'jexec tanuki-client ping -6 -c 3 -i 0.2 -t 3 -S 2001:db8:bad::1 2001:db8:1::1; true'
shows "solicitations have a node of their own" 'tanuki-s' inside server ngctl list
before=$(solicitations)
check "the client has asked: $before" more_than 0
check "a new l2tpd takes over" hand_over server l2tpd
inside client rtsol ng0
eventually "and hears solicitations" 20 more_than 0
shows "IPv6 goes on" ' 0.0% packet loss' inside client ping -6 -c 5 -i 0.2 2001:db8:1::1

stop_side client
eventually "the route is gone with the session" 10 \
	sh -c '! jexec tanuki-server netstat -rn6 | grep -q 2001:db8:99:'
stop_side server
check "with a prefix: no nodes are left" sh -c '! jexec tanuki-server ngctl list | grep -q tanuki'
