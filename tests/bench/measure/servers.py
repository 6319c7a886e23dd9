"""What is measured: each is a server in the namespace "server", with a client of ours online.

Every one has `pids` (whose CPU time counts), `inside` (the server's address in the tunnel) and `stop`.
"""

import os
import pathlib
import subprocess

from harness.daemons import Daemons
from harness.lab import PSK, USERS, configuration, eventually
from harness.network import OWN_CLIENT, SERVER, sh

from .softether import INSIDE as SOFTETHER_INSIDE
from .softether import SoftEther

USER = "alice"


def cpu_seconds(pids):
    """User and system time of processes so far."""
    ticks = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def quiet(text):
    """A daemon's configuration with the log of everyday use."""
    return text.replace("level: debug", "level: info")


class Client:
    """Our own daemons as the client."""

    def __init__(self, lab, route, suite=None, short="own", user=USER):
        texts = configuration("own-client", user=user, password=USERS[user], psk=PSK, server=SERVER)
        texts = {name: quiet(text) for name, text in texts.items()}
        if route:
            texts["l2tpd.yaml"] = texts["l2tpd.yaml"].replace(
                "    automatic: true\n", f"    automatic: true\n    routes: [{route}]\n")
        if suite:
            texts["ike-daemon.yaml"] += f"phase2: {{suites: [{suite}]}}\n"
        self.namespace = lab.network.name(short)
        self.daemons = Daemons(lab.programs, self.namespace, lab.folder / f"client-{short}", texts)
        self.daemons.start()
        eventually(self.online, "the client is not online", 40)

    def online(self):
        """Whether it has an address."""
        listed = self.daemons.control("l2tpctl", "show", "sessions")
        return any(session["state"] == "up" for session in listed)

    def stop(self):
        """Ends it."""
        self.daemons.stop()


class Tanuki:
    """Our server; ESP in UDP, as the other one does it always."""

    inside = "10.77.0.1"

    def __init__(self, lab, suite, kernel=""):
        """`kernel` is softkernel's configuration."""
        texts = {name: quiet(text) for name, text in configuration("server").items()}
        texts["softkernel.yaml"] = kernel
        texts["ike-daemon.yaml"] += f"nat_t: {{force: true}}\nphase2: {{suites: [{suite}]}}\n"
        self.daemons = Daemons(lab.programs, lab.network.name("server"), lab.folder / "server", texts)
        self.daemons.start()
        self.client = Client(lab, None, suite)

    def pids(self):
        """All three daemons."""
        found = []
        for process in self.daemons.processes.values():
            children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True,
                                      text=True, check=False).stdout.split()
            found += [process.pid, *map(int, children)]
        return found

    def stop(self):
        """Ends both."""
        self.client.stop()
        self.daemons.stop()


class Softether:
    """SoftEther VPN Server."""

    inside = SOFTETHER_INSIDE

    def __init__(self, lab, suite):
        self.server = SoftEther(lab.network.name("server"), PSK, USERS)
        self.client = Client(lab, f"{SOFTETHER_INSIDE}/32", suite)

    def pids(self):
        """All its processes."""
        return self.server.pids()

    def stop(self):
        """Ends both."""
        self.client.stop()
        self.server.stop()


class Relay:
    """softkernel's devices without a VPN: the limit that I/O sets."""

    inside = "10.78.0.1"

    def __init__(self, lab, program):
        self.ends = []
        pairs = [("server", SERVER, OWN_CLIENT, "10.78.0.1/24"),
                 ("own", OWN_CLIENT, SERVER, "10.78.0.2/24")]
        for short, local, peer, address in pairs:
            namespace = lab.network.name(short)
            end = subprocess.Popen(
                ["ip", "netns", "exec", namespace, program, "relay", "--device", "relay0",
                 "--local", f"{local}:4500", "--peer", f"{peer}:4500"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            self.ends.append(end)
            if end.stdout.readline().strip() != "ready":
                raise RuntimeError("the relay does not start")
            sh(f"ip addr add {address} dev relay0; ip link set relay0 up mtu 1400", namespace)

    def pids(self):
        """The server's end."""
        return [self.ends[0].pid]

    def stop(self):
        """Ends both."""
        for end in self.ends:
            end.kill()
            end.wait()
