# Lifetimes in octets: the kernel counts them and says EXPIRE, and the IPsec SAs are renewed while
# packets flow.

. ./network.sh
network_up || return
# RFC 2407 section 4.5: the initiator's offer, which both ends keep. The kernel looks once a second;
# between the soft and the hard lifetime there are 60 KiB.
echo 'phase2: {lifetime_kilobytes: 400}' >>"$(runtime client)/ike-daemon.yaml"

# pairs: the numbers of the pairs of IPsec SAs that there were so far, by the log.
pairs() {
	grep -Ec 'IPsec SAs (up|rekeyed)' "$(runtime client)/ike-daemon.log"
}

check "the server's daemons start" start_side server
check "the client's daemons start" start_side client
eventually "the client is online" 60 online
before=$(pairs)
shows "the kernel has a hard lifetime in octets" 'hard: 409600\(bytes\)' inside client setkey -D

# 1000 packets of 1.2 KiB each way: three times the lifetime.
inside client ping -q -s 1200 -c 1000 -i 0.05 $INNER >"$WORK/pings" 2>&1
shows "no ping is lost over it" ' 0.0% packet loss' cat "$WORK/pings"
after=$(pairs)
check "the SAs were renewed: $before pairs, then $after" test "$after" -ge $((before + 2))
# The soft lifetime is not a matter of time: these SAs live for hours.
shows "by octets, not by time" 'diff: [0-9]{1,2}\(s\)' inside client setkey -D

# Faster than anybody can renew: what goes beyond is lost, and the next SAs carry on.
if command -v nc >/dev/null; then
	dd if=/dev/random of="$WORK/sent" bs=64k count=32 2>/dev/null
	check "a download of five lifetimes" download
	check "it arrived whole" cmp "$WORK/sent" "$WORK/received"
else
	skip "a download of five lifetimes" "no nc"
fi
stop_side client
stop_side server
check "no SAs are left" sh -c "jexec tanuki-server setkey -D | grep -q 'No SAD'"
