# IPv6 inside the tunnel: IPV6CP opens, and both ends' ngN have link-local addresses that answer.

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
