"""Where many clients meet one server: a namespace for each side, a wire between them, and on the
clients' side as many addresses as wanted."""

import pathlib
import subprocess

from harness.daemons import Daemons
from harness.network import Network, sh

from .servers import cpu_seconds
from .softether import SoftEther

SERVER = "10.200.0.1"
CLIENTS_GATEWAY = "10.200.0.2"
CLIENTS = "10.201.0.0/16"
OTHERS = "10.202.0.0/16"
INSIDE = "10.77.0.1"
# SoftEther takes nine characters at most.
PSK = "benchpsk1"
USER, PASSWORD = "load", "load of clients"

# What is not the default is what one address may have, and the addresses to give away.
CONFIGURATION = {
    "softkernel.yaml": "tun: {name: vpn0}\n",
    "ike-daemon.yaml": f"kernel: soft\nsecrets: [{{psk: \"{PSK}\"}}]\n",
    "l2tpd.yaml": f"kernel: soft\nlocal_address: {INSIDE}\npool: [10.77.0.10-10.77.255.250]\n"
                  "users: users.yaml\n",
    "users.yaml": f"users: [{{name: {USER}, password: \"{PASSWORD}\"}}]\n",
}


class Arena:
    """Both namespaces."""

    def __init__(self):
        self.network = Network()
        server, clients = self.network.add("many-server"), self.network.add("many-clients")
        self.server, self.clients = server, clients
        sh(f"""
            ip link add wire netns {server} type veth peer name wire netns {clients}
            ip -n {server} addr add {SERVER}/24 dev wire
            ip -n {clients} addr add {CLIENTS_GATEWAY}/24 dev wire
            ip -n {server} link set wire up
            ip -n {clients} link set wire up
            for net in {CLIENTS} {OTHERS}; do
                ip -n {clients} route add local $net dev lo
                ip -n {server} route add $net via {CLIENTS_GATEWAY}
            done
        """)

    def remove(self):
        """Takes both away."""
        self.network.remove()


class Ours:
    """Our three daemons as the server."""

    def __init__(self, arena, programs, folder, extra=None):
        texts = {name: text + (extra or {}).get(name, "") for name, text in CONFIGURATION.items()}
        self.daemons = Daemons(programs, arena.server, folder, texts)
        self.daemons.start()

    def cpu(self):
        """Seconds of CPU time so far."""
        return cpu_seconds([process.pid for process in self.daemons.processes.values()])

    def cpu_each(self):
        """The same of each daemon."""
        return {name: cpu_seconds([process.pid])
                for name, process in self.daemons.processes.items()}

    def resident(self):
        """Memory in RAM of each daemon, KiB."""
        return {name: resident(process.pid) for name, process in self.daemons.processes.items()}

    def kill(self):
        """Ends them, in whatever state they are."""
        self.daemons.kill()


class Softether:
    """SoftEther VPN Server with the same user and key."""

    def __init__(self, arena):
        self.server = SoftEther(arena.server, PSK, {USER: PASSWORD})

    def cpu(self):
        """Seconds of CPU time so far."""
        return cpu_seconds(self.server.pids())

    def kill(self):
        """Ends it."""
        self.server.stop()


def resident(pid):
    """Memory in RAM of a process, KiB."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def load(arena, programs, *words):
    """Starts tanuki-load on the clients' side; its JSON comes on standard output."""
    where = [] if "--from" in words else ["--from", CLIENTS]
    argv = ["ip", "netns", "exec", arena.clients, str(pathlib.Path(programs) / "tanuki-load"),
            "--server", SERVER, "--psk", PSK, "--user", USER, "--password", PASSWORD, *where,
            "--json", *map(str, words)]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
