# ike-daemon and the kernel's PF_KEY: rekeying under traffic, a NAT that moves a client, and that
# others' SAs and policies stay.

. ./network.sh

# SAs and a policy of somebody else, below ike-daemon's range of reqids and inside it.
foreign_entries() {
	_keys='-E aes-cbc "0123456789abcdef" -A hmac-sha1 "0123456789abcdefghij"'
	cat <<END
add 198.51.100.1 198.51.100.2 esp 0x7001 -m transport -u 7 $_keys ;
add 198.51.100.1 198.51.100.2 esp 0x7002 -m transport -u 5000 $_keys ;
spdadd 198.51.100.1 198.51.100.2 any -P out ipsec esp/transport//unique:5001 ;
END
}

foreign_are_there() {
	[ "$(inside server setkey -D | grep -c '^198.51.100.1 198.51.100.2')" -eq 2 ] &&
		inside server setkey -DP | grep -q 'unique:5001'
}

only_foreign() {
	foreign_are_there && [ "$(inside server setkey -D | grep -c 'mode=')" -eq 2 ] &&
		[ "$(inside server setkey -DP | grep -c 'spid=')" -eq 1 ]
}

# youngest SIDE WHAT...: the number of the newest that works.
youngest() {
	_side=$1
	shift
	ctl "$_side" ikectl show "$@" | awk '$3 == "established" || $3 == "installed" { print $1 }' |
		sort -n | tail -1
}

newer() {
	_before=$1
	shift
	[ "$(youngest "$@")" -gt "$_before" ]
}

# Phase 2 from the server; phase 1 from the client, which answers nobody.
rekey_both() {
	_pair=$(youngest server ipsec --pairs)
	check "phase 2 is told to rekey" ctl server ikectl rekey ipsec "$_pair"
	eventually "phase 2 is rekeyed" 30 newer "$_pair" server ipsec --pairs
	_ike=$(youngest client ike)
	check "phase 1 is told to rekey" ctl client ikectl rekey ike "$_ike"
	eventually "phase 1 is rekeyed" 30 newer "$_ike" client ike
}

network_up || return
foreign_entries | inside server setkey -c
start_side server
start_side client
eventually "the client is online" 60 online

for preferred in 1 0; do
	inside server sysctl -q net.key.preferred_oldsa=$preferred
	kill -HUP "$(cat "$(runtime server)/ike-daemon/ike-daemon.pid")"
	inside client ping -c 150 -i 0.1 $INNER >"$WORK/pings" 2>&1 &
	ping=$!
	rekey_both
	wait $ping
	shows "no ping is lost over it, preferred_oldsa=$preferred" ' 0.0% packet loss' cat "$WORK/pings"
	check "the new SAs carry the tunnel" inside client ping -c 3 -t 10 $INNER
done
check "others' SAs and policies are there" foreign_are_there

crash server ike-daemon
# What a daemon leaves that dies before it has written it down.
echo 'add 192.0.2.2 192.0.2.1 esp 0x7009 -m transport -u 6000 -E aes-cbc "0123456789abcdef" -A hmac-sha1 "0123456789abcdefghij" ;' |
	inside server setkey -c
start_daemon server ike-daemon
orphan_gone() {
	! inside server setkey -D | grep -q 0x00007009
}
eventually "an SA of nobody in our range is removed" 10 orphan_gone
check "others' SAs and policies are there still" foreign_are_there
check "the client is online still" inside client ping -c 3 -t 10 $INNER
stop_side client
stop_side server
check "at the end only others' are left" only_foreign
inside server setkey -F
inside server setkey -FP
network_down
