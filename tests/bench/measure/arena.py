"""Where many clients meet one server: a namespace for each side, a wire between them, and on the
clients' side as many addresses as wanted."""

import pathlib
import subprocess

from harness.daemons import Daemons
from harness.network import Network, sh

SERVER = "10.200.0.1"
CLIENTS = "10.201.0.0/16"
INSIDE = "10.77.0.1"
PSK = "bench psk"
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
            ip -n {clients} addr add 10.200.0.2/24 dev wire
            ip -n {server} link set wire up
            ip -n {clients} link set wire up
            ip -n {clients} route add local {CLIENTS} dev lo
            ip -n {server} route add {CLIENTS} via 10.200.0.2
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

    def pids(self):
        """Name and process id of each daemon."""
        found = {}
        for name, process in self.daemons.processes.items():
            children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True,
                                      text=True, check=False).stdout.split()
            found[name] = [process.pid, *map(int, children)]
        return found

    def stop(self):
        """Ends them."""
        self.daemons.stop()

    def kill(self):
        """The same, whatever state they are in."""
        self.daemons.kill()


def cpu_seconds(pids):
    """User and system time of processes so far, in the scheduler's nanoseconds."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return total / 1e9


def resident(pids):
    """Memory in RAM of processes, KiB."""
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total


def load(arena, programs, *words):
    """Starts tanuki-load on the clients' side; its JSON comes on standard output."""
    argv = ["ip", "netns", "exec", arena.clients, str(pathlib.Path(programs) / "tanuki-load"),
            "--server", SERVER, "--psk", PSK, "--user", USER, "--password", PASSWORD,
            "--from", CLIENTS, "--json", *map(str, words)]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
