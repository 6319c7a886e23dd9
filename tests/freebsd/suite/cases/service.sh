# service(8): the three daemons as an operator handles them.

etc=/usr/local/etc/tanuki
configure() {
	cat >$etc/ike-daemon.yaml <<END
secrets: [{psk: "a-secret-of-the-suite-7f3a"}]
END
	cat >$etc/l2tpd.yaml <<END
local_address: 10.77.0.1
pool: [10.77.0.10-10.77.0.20]
users: users.yaml
END
	cat >$etc/users.yaml <<END
users: [{name: alice, password: wonderland}]
END
	chmod 600 $etc/*.yaml
}
pid() {
	cat /var/run/tanuki/$1/$1.pid
}
undo 'rm -f /usr/local/etc/tanuki/*.yaml'
undo 'sysrc -x softkernel_enable ike_daemon_enable l2tpd_enable'
undo 'service softkernel onestop'
undo 'service ike_daemon onestop'
undo 'service l2tpd onestop'

rm -f $etc/*.yaml
sysrc softkernel_enable=YES ike_daemon_enable=YES l2tpd_enable=YES >/dev/null
for service in ike_daemon l2tpd; do
	refused "$service without a configuration" 1 'missing; begin with a copy of' service $service start
done
configure

for pair in softkernel:softkernel ike_daemon:ike-daemon l2tpd:l2tpd; do
	service=${pair%:*} program=${pair#*:}
	shows "$service configtest" ': ok' service $service configtest
	shows "$service start" "Starting $service" service $service start
	check "$service is there when start returns" test -S /var/run/tanuki/$program/control.sock
	shows "$service status" "is running as pid $(pid $program)" service $service status
	refused "$service starts once" 1 'already running' service $service start
done
for module in ipsec ng_socket ng_ksocket ng_l2tp ng_ppp ng_bpf ng_tcpmss ng_iface if_tuntap; do
	check "$module was loaded" loaded $module
done
shows "ike-daemon uses the system's kernel" 'kernel +system' ikectl show stats
shows "ike-daemon is connected with it" 'kernel connected +yes' ikectl show stats
shows "l2tpd uses the system's kernel" 'tanuki|socket' ngctl list

# The terminal, the environment and the working folder of whoever started them are not theirs.
for program in ike-daemon l2tpd softkernel; do
	check "$program has no terminal" test "$(ps -o tty= -p "$(pid $program)" | tr -d ' ')" = -
	check "$program keeps no folder" sh -c "procstat -f $(pid $program) | grep -Eq ' cwd .* / *\$'"
done
if [ -S /var/run/log ]; then
	check "the log is syslog's" grep -q 'ike-daemon\[[0-9]*\]: ready' /var/log/daemon.log /var/log/tanuki.log
fi

# Taken up without a restart, and not when broken.
before=$(pid l2tpd)
echo 'dns: [10.77.0.1]' >>$etc/l2tpd.yaml
shows "l2tpd reload" 'read again' service l2tpd reload
echo 'dns: nonsense' >>$etc/l2tpd.yaml
check "l2tpd reload refuses a broken file" sh -c '! service l2tpd reload'
check "l2tpd configtest refuses it" sh -c '! service l2tpd configtest'
check "l2tpd restart refuses it" sh -c '! service l2tpd restart'
check "l2tpd goes on" test "$(pid l2tpd)" = "$before"
configure
shows "ike_daemon reload" '.' service ike_daemon reload
shows "softkernel reload" 'at the start only' service softkernel reload

for pair in ike_daemon:ike-daemon l2tpd:l2tpd softkernel:softkernel; do
	service=${pair%:*} program=${pair#*:}
	before=$(pid $program)
	shows "$service restart" "Starting $service" service $service restart
	check "$service is another process" test "$(pid $program)" != "$before"
done

for pair in l2tpd:l2tpd ike_daemon:ike-daemon softkernel:softkernel; do
	service=${pair%:*} program=${pair#*:}
	shows "$service stop" "Stopping $service" service $service stop
	check "$service is gone" sh -c "! service $service status"
	check "$service leaves no socket" nothing find /var/run/tanuki/$program -type s
done
check "no SAs are left" sh -c 'setkey -D | grep -q "No SAD"'
check "no policies are left" sh -c 'setkey -DP | grep -q "No SPD"'
check "no nodes are left" sh -c '! ngctl list | grep -q tanuki'
