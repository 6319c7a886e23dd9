# Two VNET jails with an Ethernet cable between them, a server in one and a client in the other.

SERVER=192.0.2.1
CLIENT=192.0.2.2
INNER=10.77.0.1
# The same ends over IPv6.
SERVER6=2001:db8:77::1
CLIENT6=2001:db8:77::2
# Both sides' kernel. For soft, `FORCED` makes them use UDP encapsulation without a NAT.
KERNEL=system
FORCED=false

# Below the root that all jails share.
runtime() {
	echo "$WORK/$1"
}

inside() {
	_jail=$1
	shift
	jexec "tanuki-$_jail" "$@"
}

network_up() {
	_modules=if_tuntap
	if [ $KERNEL = system ]; then
		_modules="ipsec ng_socket ng_ksocket ng_l2tp ng_ppp ng_bpf ng_tcpmss ng_iface"
	fi
	for _module in $_modules if_epair; do
		loaded $_module || kldload $_module
	done
	if [ "$(sysctl -n kern.features.vimage 2>/dev/null)" != 1 ]; then
		skip "two jails" "a kernel without VIMAGE"
		return 1
	fi
	undo network_down
	CABLE=$(ifconfig epair create) || return 1
	CABLE=${CABLE%a}
	for _side in "server a $SERVER $SERVER6" "client b $CLIENT $CLIENT6"; do
		set -- $_side
		_name=$1 _end=$2
		jail -c name=tanuki-$_name host.hostname=$_name path=/ vnet vnet.interface=$CABLE$_end \
			allow.raw_sockets persist || return 1
		inside $_name ifconfig lo0 127.0.0.1/8 up
		inside $_name ifconfig $CABLE$_end "$3/24" up
		inside $_name ifconfig $CABLE$_end inet6 "$4/64" no_dad
		configure_$_name "$(runtime $_name)"
	done
}

network_down() {
	stop_side client
	stop_side server
	for _name in server client; do
		jail -r tanuki-$_name 2>/dev/null
	done
	ifconfig "${CABLE}a" destroy 2>/dev/null
}

configure_server() {
	mkdir -p "$1"
	: >"$1/softkernel.yaml"
	cat >"$1/ike-daemon.yaml" <<END
kernel: $KERNEL
nat_t: {force: $FORCED}
secrets: [{psk: "a-secret-of-the-suite-7f3a"}]
log: {level: debug, target: {file: $1/ike-daemon.log}}
END
	cat >"$1/l2tpd.yaml" <<END
kernel: $KERNEL
local_address: $INNER
pool: [10.77.0.10-10.77.0.20]
users: users.yaml
log: {level: debug, target: {file: $1/l2tpd.log}}
END
	cat >"$1/users.yaml" <<END
users: [{name: alice, password: wonderland}]
END
	chmod 600 "$1"/*.yaml
}

configure_client() {
	mkdir -p "$1"
	: >"$1/softkernel.yaml"
	cat >"$1/ike-daemon.yaml" <<END
kernel: $KERNEL
nat_t: {force: $FORCED}
respond: false
secrets: [{psk: "a-secret-of-the-suite-7f3a", peers: [$SERVER]}]
connections:
  suite: {peer: $SERVER, protocol: 17, local_port: 1701, peer_port: 1701, start: auto}
log: {level: debug, target: {file: $1/ike-daemon.log}}
END
	cat >"$1/l2tpd.yaml" <<END
kernel: $KERNEL
listen: []
connections:
  suite: {server: $SERVER, user: alice, password: wonderland, automatic: true, retry: 1}
log: {level: debug, target: {file: $1/l2tpd.log}}
END
	chmod 600 "$1"/*.yaml
}

start_daemon() {
	_folder=$(runtime "$1")
	inside "$1" "$PREFIX/sbin/$2" --background -c "$_folder/$2.yaml" --runtime-dir "$_folder"
}

start_side() {
	# What is configured: the sides' kernels may differ.
	if grep -q '^kernel: soft$' "$(runtime "$1")/ike-daemon.yaml"; then
		start_daemon "$1" softkernel || return
	fi
	start_daemon "$1" ike-daemon && start_daemon "$1" l2tpd
}

# signal SIDE DAEMON SIGNAL: and waits for its end.
signal() {
	_file=$(runtime "$1")/$2/$2.pid
	[ -e "$_file" ] || return 0
	_pid=$(cat "$_file")
	kill -"$3" "$_pid" 2>/dev/null || return 0
	while kill -0 "$_pid" 2>/dev/null; do sleep 0.1; done
}

stop_side() {
	signal "$1" l2tpd TERM
	signal "$1" ike-daemon TERM
	signal "$1" softkernel TERM
}

hand_over() {
	signal "$1" "$2" USR2
	start_daemon "$1" "$2"
}

crash() {
	signal "$1" "$2" KILL
}

ctl() {
	_side=$1 _tool=$2
	shift 2
	"$PREFIX/bin/$_tool" --runtime-dir "$(runtime "$_side")" "$@"
}

ctl_line() {
	_side=$1 _tool=$2
	shift 2
	echo "$PREFIX/bin/$_tool --runtime-dir $(runtime "$_side") $*"
}

# A ping says more than any view. When there is none, the logs say why.
online() {
	inside client ping -c 1 -t 2 $INNER && return
	for _side in client server; do
		tail -n 8 "$(runtime $_side)"/*.log
	done
	return 1
}

offline() {
	! ctl server l2tpctl show sessions | grep -q alice
}

# What the wire carries while a ping is on its way.
observed() {
	inside server tcpdump -c 2 -nti "${CABLE}a" host $CLIENT and proto 50 2>&1 &
	_dump=$!
	inside client ping -c 5 -i 0.3 $INNER >/dev/null
	wait $_dump
}

download() {
	inside server nc -N -l 7000 <"$WORK/sent" &
	_server=$!
	_tries=50
	until inside server sockstat -4l | grep -q 7000 || [ $_tries -eq 0 ]; do
		_tries=$((_tries - 1))
		sleep 0.1
	done
	inside client nc -d $INNER 7000 >"$WORK/received"
	wait $_server
}

# An SCCRQ without IPsec gets no answer (RFC 2661: control, version 2, tunnel 0).
clear_is_dropped() {
	_answer=$(printf '\310\002\000\024\000\000\000\000\000\000\000\000\200\010\000\000\000\000\000\001' |
		inside client nc -u -w 2 $SERVER 1701 | wc -c)
	[ "$_answer" -eq 0 ]
}

# rows COMMAND...: how many lines of its table begin with a number.
rows() {
	"$@" | grep -Ec '^ *[0-9]'
}

# Every SA is half of a pair in ikectl's view, every tunnel's node is a tunnel of l2tpctl's. A pair
# may have lost its outbound half already (net.key.preferred_oldsa).
no_orphans() {
	ctl server ikectl show ipsec --pairs >"$WORK/pairs"
	for _spi in $(inside server setkey -D | sed -n 's/.*spi=[0-9]*(0x\([0-9a-f]*\)).*/\1/p'); do
		if ! grep -q "$_spi" "$WORK/pairs"; then
			echo "SPI $_spi is nobody's"
			cat "$WORK/pairs"
			return 1
		fi
	done
	_nodes=$(inside server ngctl list | grep -c 'Name: tanuki-t')
	_tunnels=$(rows ctl server l2tpctl show tunnels)
	echo "tunnel nodes $_nodes, tunnels $_tunnels"
	[ "$_nodes" -eq "$_tunnels" ]
}
