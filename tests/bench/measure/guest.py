"""The lab's emulated machine as the server, and clients of ours on the host: for servers that need a
kernel of their own, and ours beside them in the same machine.

Where the machine is emulated its clock counts instructions, a nanosecond each (`counted` in harness/guest.py).

A server runs in a control group, whose CPU time is that of all its processes, those that have ended
included, and of what the kernel did for them in system calls. What the kernel does in interrupts (ESP and
L2TP of the system's kernel) is in the time of the whole machine only."""

import json
import pathlib

from harness import carry
from harness.daemons import NAMES
from harness.guest import Guest
from harness.network import Network, sh

from . import arena
from . import linux_server

# The machine's first interface, and the programs' place in it.
MAC = "52:54:00:00:01:01"
PROGRAMS = "/run/programs"
BENCH = "tanuki-bench"
GROUP = "/sys/fs/cgroup/server"
# Before a server starts in it and after one was killed.
FRESH = f"""
    [ -d {GROUP} ] && echo 1 >{GROUP}/cgroup.kill
    while [ -d {GROUP} ] && ! rmdir {GROUP}/*/ {GROUP} 2>/dev/null; do sleep 0.2; done
    ip xfrm state flush; ip xfrm policy flush
    rm -rf /run/tanuki /run/charon.* /run/xl2tpd /run/xl2tpd.pid /run/ppp*
    mkdir -p {GROUP} /run/log /run/xl2tpd /run/ppp /run/lock
    echo +memory >{GROUP}/cgroup.subtree_control
"""
SETUP = f"""
    set -e
    ip addr add {arena.SERVER}/24 dev eth0
    ip link set eth0 up
    for net in {arena.CLIENTS} {arena.OTHERS}; do ip route add $net via {arena.CLIENTS_GATEWAY}; done
    mount -t cgroup2 none /sys/fs/cgroup
    echo +memory >/sys/fs/cgroup/cgroup.subtree_control
    rm /etc/modprobe.d/lab.conf
    modprobe -a l2tp_ppp tun
    mkdir -p {PROGRAMS}
"""
# Numbers by name: microseconds, and octets without files, of the server and of each part of it; clock ticks
# of the machine that were not idle.
READ = f"""
    for group in {GROUP} {GROUP}/*/; do
        name=$(basename $group)
        awk -v name=$name '$1 == "usage_usec" {{print "cpu_us:" name, $2}}' $group/cpu.stat
        awk -v name=$name -v all=$(cat $group/memory.current) '$1 == "file" {{print "memory:" name, all - $2}}' $group/memory.stat
    done
    awk '$1 == "cpu" {{print "ticks", $2 + $3 + $4 + $7 + $8}}' /proc/stat
"""


class Machine:
    """The booted machine; `clients` is the namespace for clients, as in an arena."""

    def __init__(self, image, folder, programs):
        self.network = Network()
        self.clients = self.network.add("many-clients")
        sh(f"""
            ip tuntap add dev machine mode tap
            ip addr add {arena.CLIENTS_GATEWAY}/24 dev machine
            ip link set machine up
            for net in {arena.CLIENTS} {arena.OTHERS}; do ip route add local $net dev lo; done
        """, self.clients)
        self.guest = Guest(image, folder, [("machine", MAC)], self.clients, memory=1024,
                           cpus=1, counted=True)
        try:
            self.guest.start()
            self.guest.wait_ready(300)
            self.guest.run(SETUP)
            with carry.Carrier(self.clients, arena.CLIENTS_GATEWAY, folder) as carrier:
                for name in [*NAMES, BENCH]:
                    carrier.carry(self.guest.run, pathlib.Path(programs) / name, f"{PROGRAMS}/{name}")
        except BaseException:
            self.remove()
            raise

    def remove(self):
        """Ends it."""
        self.guest.stop()
        self.network.remove()

    def start(self, script):
        """Starts a server in a fresh control group."""
        self.guest.run(FRESH)
        self.guest.run(f"""
            # part NAME COMMAND...: runs it in the background, in a part of the group, which itself may have
            # no processes where memory is told for each part.
            part() {{
                mkdir -p {GROUP}/$1
                (echo $BASHPID >{GROUP}/$1/cgroup.procs; exec "${{@:2}}") >/run/log/$1.out 2>&1 </dev/null &
            }}
            {script}""", 120)

    def start_ours(self):
        """Our three daemons."""
        self.start("".join(self.guest.write(f"/run/tanuki/{name}", text)
                           for name, text in arena.CONFIGURATION.items())
                   + "chmod 600 /run/tanuki/*.yaml\n"
                   + "".join(f"""
                       part {name} {PROGRAMS}/{name} -c /run/tanuki/{name}.yaml --runtime-dir /run/tanuki/run
                       for i in {{1..300}}; do [ -S /run/tanuki/run/{name}/control.sock ] && break; sleep 0.1; done
                   """ for name in NAMES))

    def start_linux(self):
        """strongSwan, xl2tpd and pppd."""
        self.start(linux_server.start(self.guest.write))

    def bare(self):
        """CPU milliseconds of Diffie-Hellman alone, in this machine."""
        return json.loads(self.guest.run(f"{PROGRAMS}/{BENCH} diffie-hellman --seconds 0.3", 120).output)

    def read(self):
        """What the server has used so far."""
        lines = self.guest.run(READ).output.split("\n")
        return {name: int(value) for name, value in (line.split() for line in lines if line)}

    def logs(self):
        """What the server has written."""
        return self.guest.run("tail -n 10 /run/log/*", check=False).output
