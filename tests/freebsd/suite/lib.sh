# What the cases share. POSIX sh.

PASSED=0
FAILED=0
SKIPPED=0
NUMBER=0
# Commands that undo what a case did, the latest first.
UNDO=

pass() {
	NUMBER=$((NUMBER + 1))
	PASSED=$((PASSED + 1))
	echo "ok $NUMBER - $CASE: $1"
}

# fail NAME [FILE]: the file is what there is to see.
fail() {
	NUMBER=$((NUMBER + 1))
	FAILED=$((FAILED + 1))
	echo "not ok $NUMBER - $CASE: $1"
	[ -z "${2-}" ] || sed 's/^/#   /' "$2"
}

skip() {
	NUMBER=$((NUMBER + 1))
	SKIPPED=$((SKIPPED + 1))
	echo "ok $NUMBER - $CASE: $1 # SKIP $2"
}

# check NAME COMMAND...: the command succeeds.
check() {
	_name=$1
	shift
	if "$@" >"$WORK/output" 2>&1; then
		pass "$_name"
	else
		echo "exit code $? of: $*" >>"$WORK/output"
		fail "$_name" "$WORK/output"
	fi
}

# refused NAME CODE WORDS COMMAND...: the command ends with that code, says one line, and the words
# (an extended regular expression) are in it.
refused() {
	_name=$1 _wanted=$2 _words=$3
	shift 3
	"$@" >"$WORK/output" 2>&1 </dev/null
	_code=$?
	if [ $_code -eq "$_wanted" ] && [ "$(wc -l <"$WORK/output")" -eq 1 ] &&
		grep -Eq -- "$_words" "$WORK/output"; then
		pass "$_name: $(cat "$WORK/output")"
	else
		echo "exit code $_code, wanted $_wanted and one line with: $_words" >>"$WORK/output"
		fail "$_name" "$WORK/output"
	fi
}

# shows NAME WORDS COMMAND...: the command succeeds and its output has the words.
shows() {
	_name=$1 _words=$2
	shift 2
	if "$@" >"$WORK/output" 2>&1 </dev/null && grep -Eq -- "$_words" "$WORK/output"; then
		pass "$_name"
	else
		echo "wanted: $_words" >>"$WORK/output"
		fail "$_name" "$WORK/output"
	fi
}

# eventually NAME SECONDS COMMAND...: the command succeeds within that time; says after how much.
eventually() {
	_name=$1 _began=$(date +%s)
	_until=$((_began + $2))
	shift 2
	while ! "$@" >"$WORK/output" 2>&1; do
		if [ "$(date +%s)" -ge $_until ]; then
			fail "$_name" "$WORK/output"
			return 1
		fi
		sleep 0.2
	done
	pass "$_name ($(($(date +%s) - _began)) s)"
}

# nothing COMMAND...: the command says nothing.
nothing() {
	[ -z "$("$@" 2>&1 | tee /dev/stderr)" ]
}

# undo COMMAND: run at the end of the case, in reverse order.
undo() {
	UNDO="$1
$UNDO"
}

forget() {
	_commands=$UNDO
	UNDO=
	echo "$_commands" | while read -r _command; do
		eval "$_command" >/dev/null 2>&1
	done
}

# The package as pkg(8) would leave it: samples become configurations where there are none.
install_package() {
	if [ -e /usr/local/sbin/ike-daemon ] && [ ! -e /usr/local/share/tanuki-suite ]; then
		echo "run: tanuki is installed here already; this is for machines without it" >&2
		exit 73
	fi
	mkdir -p /usr/local/share
	: >/usr/local/share/tanuki-suite
	(cd package && tar -cf - .) | tar -xf - -C /usr/local || exit 73
	for _sample in etc/syslog.d/tanuki.conf etc/newsyslog.conf.d/tanuki.conf; do
		cp "/usr/local/$_sample.sample" "/usr/local/$_sample"
	done
}

# loaded MODULE: it is in the kernel, whichever way it came there.
loaded() {
	kldstat -q -m "$1"
}
