# What the measurements share, beside network.sh. Figures are said in lines that begin with "# bench: "
# and kept as members of the object that `run` says at its end.

ROUNDS=${ROUNDS:-3}
MEGABYTES=${MEGABYTES:-16}

say() {
	echo "# bench: $*"
}

# keep NAME VALUE: a value in JSON.
keep() {
	echo "\"$1\": $2" >>"$WORK/json"
}

# list FILE: its lines as an array.
list() {
	echo "[$(paste -sd , "$1")]"
}

median() {
	sort -n "$1" | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'
}

# spread FILE: its median (lowest-highest).
spread() {
	echo "$(median "$1") ($(sort -n "$1" | head -n 1)-$(sort -n "$1" | tail -n 1))"
}

# calculate EXPRESSION: to two places.
calculate() {
	awk "BEGIN {printf \"%.2f\n\", $1}"
}

# cpu PID...: seconds of user and system time that these processes have used.
cpu() {
	for _pid; do procstat -r "$_pid"; done | awk '
		/ (user|system) time / {split($NF, t, ":"); sum += 3600 * t[1] + 60 * t[2] + t[3]}
		END {printf "%.6f\n", sum}'
}

# daemons SIDE: the process ids.
daemons() {
	cat "$(runtime "$1")"/*/*.pid
}

upload() {
	inside server nc -d -l 7000 >"$WORK/received" &
	_server=$!
	await 10 listening
	inside client nc -N $INNER 7000 <"$WORK/sent"
	wait $_server
}

listening() {
	inside server sockstat -4l | grep -q ':7000'
}

# await SECONDS COMMAND...: until it succeeds.
await() {
	_until=$(($(date +%s) + $1))
	shift
	while ! "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt $_until ] || return 1
		sleep 0.2
	done
}

# What it runs on, before the first figure.
if [ ! -e "$WORK/json" ]; then
	_system="$(uname -srm), osreldate $(uname -K)" _model=$(sysctl -n hw.model)
	_cpus=$(sysctl -n hw.ncpu) _date=$(date -u +%Y-%m-%d)
	_version=$("$PREFIX/sbin/ike-daemon" --version | head -n 1)
	say "$_version; $_system; $_cpus of $_model, hypervisor $(sysctl -n kern.vm_guest); $_date"
	case $_model in
	*TCG*) say "An emulated processor: ratios count, and those of the same kind of work only" ;;
	esac
	keep machine "{\"system\": \"$_system\", \"cpu\": \"$_model\", \"cpus\": $_cpus, \"hypervisor\":\
 \"$(sysctl -n kern.vm_guest)\", \"load\": $(sysctl -n vm.loadavg | awk '{print "[" $2 ", " $3 ", " $4 "]"}'), \"date\": \"$_date\"}"
	keep version "\"$_version\""
fi
