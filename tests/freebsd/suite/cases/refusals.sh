# A daemon that cannot start says in one line what to do about it, with a code of sysexits(3).

etc=$WORK/etc
mkdir -p "$etc"
chmod 755 "$WORK" "$etc"
cat >"$etc/ike-daemon.yaml" <<END
kernel: system
secrets: [{psk: "a-secret-of-the-suite-7f3a"}]
END
cat >"$etc/l2tpd.yaml" <<END
kernel: system
local_address: 10.77.0.1
pool: [10.77.0.10-10.77.0.20]
users: users.yaml
END
cat >"$etc/users.yaml" <<END
users: [{name: alice, password: wonderland}]
END
: >"$etc/softkernel.yaml"
chmod 644 "$etc"/*

# daemon NAME [PREFIX...]: starts it in the background, as service(8) does.
daemon() {
	_daemon=$1
	shift
	"$@" "/usr/local/sbin/$_daemon" --background -c "$etc/$_daemon.yaml" --runtime-dir "$WORK/run"
}
ended() {
	for _pidfile in "$WORK"/run/*/*.pid; do
		[ ! -e "$_pidfile" ] || kill "$(cat "$_pidfile")"
	done
	for _pidfile in "$WORK"/run/*/*.pid; do
		while [ -e "$_pidfile" ]; do sleep 0.1; done
	done
}
undo ended

# The kernel's interfaces, if this kernel comes without.
if loaded ipsec; then
	skip "ike-daemon without ipsec" "the kernel has it"
else
	refused "ike-daemon without ipsec" 69 'kldload ipsec' daemon ike-daemon
fi
if loaded ng_socket; then
	skip "l2tpd loads netgraph" "the kernel has it"
else
	check "l2tpd loads netgraph" daemon l2tpd
	check "it is loaded" loaded ng_socket
	ended
fi
for module in ipsec ng_socket ng_ksocket ng_l2tp ng_ppp ng_bpf ng_tcpmss ng_iface if_tuntap; do
	loaded $module || kldload $module
done

# Not root.
mkdir -p "$WORK/run"
chmod 777 "$WORK/run"
# Single words only: su gives them to a shell.
as_nobody() {
	su -m nobody -c "$*"
}
for name in ike-daemon l2tpd softkernel; do
	refused "$name as nobody" 77 'root' daemon $name as_nobody
	rm -rf "$WORK/run/$name"
done
refused "the runtime folder of nobody" 77 'root' \
	as_nobody /usr/local/sbin/l2tpd -c "$etc/l2tpd.yaml" --runtime-dir /var/run/tanuki-suite
chmod 755 "$WORK/run"

# A jail that shares the host's network and may do nothing with it.
in_jail() {
	jexec tanuki-bare "$@"
}
jail -c path=/ name=tanuki-bare host.hostname=bare ip4=inherit ip6=inherit persist
undo 'jail -r tanuki-bare'
for name in ike-daemon l2tpd softkernel; do
	refused "$name in a jail" 77 'jail' daemon $name in_jail
	ended
done
jail -r tanuki-bare

# Ports in use: syslogd is everywhere, and takes a port for itself alone.
for port in 500 1701; do
	syslogd -4 -b 0.0.0.0:$port -f /dev/null -P "$WORK/$port.pid" -p "$WORK/$port" -S "$WORK/$port.priv"
	undo "kill \$(cat $WORK/$port.pid)"
	eventually "somebody has port $port" 10 sh -c "sockstat -4l -P udp -p $port | grep -q syslogd"
done
refused "ike-daemon finds its port taken" 69 '500.*(another|sockstat)' daemon ike-daemon
refused "l2tpd finds its port taken" 69 '1701.*(another|sockstat)' daemon l2tpd
forget
undo ended

# Started twice.
check "ike-daemon starts" daemon ike-daemon
refused "ike-daemon starts twice" 75 'already running as process [0-9]+' daemon ike-daemon
check "l2tpd starts" daemon l2tpd
refused "l2tpd starts twice" 75 'already running as process [0-9]+' daemon l2tpd
ended

# The configuration.
echo "kernel: hard" >>"$etc/l2tpd.yaml"
refused "a broken configuration" 78 'l2tpd.yaml:[0-9]+:[0-9]+: ' daemon l2tpd
refused "a missing configuration" 66 'nowhere.yaml' /usr/local/sbin/ike-daemon -c "$etc/nowhere.yaml"
refused_usage() {
	"$@" 2>&1 | head -n 1
	"$@" >/dev/null 2>&1
}
refused "an unknown option" 64 "wrong" refused_usage /usr/local/sbin/l2tpd --wrong
