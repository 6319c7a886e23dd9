# The files of the package as FreeBSD's own tools see them.

for program in sbin/ike-daemon sbin/l2tpd sbin/softkernel bin/ikectl bin/l2tpctl bin/tanuki-import; do
	check "$program runs" "/usr/local/$program" --version
done
check "samples are closed to others" nothing find /usr/local/etc/tanuki -name '*.sample' -perm +077
# A small installation lacks some of what its own scripts want, so the exit code says nothing.
rcorder /etc/rc.d/* /usr/local/etc/rc.d/* >"$WORK/order" 2>"$WORK/complaints"
check "rcorder has nothing to say of ours" nothing grep -E "ike_daemon|l2tpd|softkernel" "$WORK/complaints"

# before FIRST SECOND: in the order of the boot.
before() {
	awk -v first="/$1\$" -v second="/$2\$" '
		$0 ~ first {a = NR} $0 ~ second {b = NR} END {exit !(a && b && a < b)}' "$WORK/order"
}
for first in netif routing pf ipsec syslogd; do
	if [ -e "/etc/rc.d/$first" ]; then
		check "$first before softkernel" before $first softkernel
	else
		skip "$first before softkernel" "no /etc/rc.d/$first"
	fi
done
check "softkernel before ike_daemon" before softkernel ike_daemon
check "ike_daemon before l2tpd" before ike_daemon l2tpd

# An interface name of this machine makes the example loadable.
card=$(ifconfig -l ether | cut -d ' ' -f 1)
if command -v pfctl >/dev/null && (loaded pf || kldload pf); then
	sed "s/\"vtnet0\"/\"${card:-lo0}\"/" /usr/local/share/examples/tanuki/pf.conf >"$WORK/pf.conf"
	check "pf.conf parses" pfctl -nf "$WORK/pf.conf"
else
	skip "pf.conf parses" "no pf"
fi
if command -v newsyslog >/dev/null; then
	shows "newsyslog knows the log" tanuki.log newsyslog -nvf /usr/local/etc/newsyslog.conf.d/tanuki.conf
else
	skip "newsyslog knows the log" "no newsyslog"
fi
if command -v syslogd >/dev/null && [ -S /var/run/log ]; then
	: >/var/log/tanuki.log
	service syslogd reload >/dev/null 2>&1
	logger -t ike-daemon "suite $$"
	eventually "syslogd writes it" 10 grep -q "suite $$" /var/log/tanuki.log
else
	skip "syslogd writes it" "no syslogd"
fi
