# kill -9 of a daemon, at rest and while a client connects: ten seconds after its next start nothing
# of before is left that nobody owns, and the client is back.

. ./network.sh
network_up || return

check "both sides start" sh -c true
start_side server
start_side client
eventually "the client is online" 60 online

for name in ike-daemon l2tpd; do
	crash server $name
	check "$name starts after a crash" start_daemon server $name
	eventually "the client is online after a crash of $name" 60 online
	check "ping after a crash of $name" inside client ping -c 3 -t 10 $INNER
	eventually "no orphans after a crash of $name" 15 no_orphans
done

# In the middle of a connection.
for name in ike-daemon l2tpd; do
	for delay in 0.1 0.3 0.6 1 1.5; do
		stop_side client
		start_side client
		sleep $delay
		crash server $name
		start_daemon server $name
		# A client that believes in an ISAKMP SA which the server never saved hears so with its
		# next message, dead peer detection's after 30 s at the latest; one that waits for an
		# acknowledgement of L2TP gives up within a minute.
		eventually "online again, $name killed $delay s into it" 120 online
		eventually "no orphans, $name killed $delay s into it" 15 no_orphans
	done
done
stop_side client
stop_side server
check "no SAs are left" sh -c "jexec tanuki-server setkey -D | grep -q 'No SAD'"
check "no policies are left" sh -c "jexec tanuki-server setkey -DP | grep -q 'No SPD'"
check "no nodes are left" sh -c '! jexec tanuki-server ngctl list | grep -q tanuki'
network_down
