"""What a case gets: networks, a server, clients, and ways to check."""

import pathlib
import re
import shutil
import string
import subprocess
import time

from . import network
from .client import Client
from .daemons import Daemons
from .errors import CaseFailed
from .guest import Guest
from .network import Network, sh

TRANSFER = pathlib.Path(__file__).resolve().parent / "transfer.py"
CONFIGURATION = pathlib.Path(__file__).resolve().parents[1] / "server"

PSK = "lab secret: three foxes"
# As in ../server/users.yaml.
USERS = {"alice": "wonderland", "bob": "builder"}
# The server's address inside every tunnel, as in ../server/l2tpd.yaml.
INSIDE = "10.77.0.1"
TRANSFER_PORT = 7000


def require(condition, text):
    """The assertion of every case."""
    if not condition:
        raise CaseFailed(text)


def eventually(probe, text, timeout=20, every=0.2):
    """Repeats `probe` until it returns something true, and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise CaseFailed(f"{text} (not within {timeout} s)")
        time.sleep(every)


class Ping:
    """A ping that runs beside what a case does; `end` demands that every echo came back."""

    def __init__(self, client, target=INSIDE, interval=0.2):
        self.client = client
        self.file = f"/run/ping.{target}"
        # A deadline far away; `end` stops it with SIGINT, which prints the statistics.
        self.job = client.begin(
            f"ping -n -i {interval} -w 600 {target} >{self.file} 2>&1 & echo $! >{self.file}.pid; "
            f"wait; exit 0")

    def end(self, name):
        """Stops it; returns how many echoes there were."""
        # Lets the echo under way come back first.
        self.client.run(f"sleep 1.2; kill -INT $(cat {self.file}.pid)")
        self.job.wait(30)
        output = self.client.run(f"cat {self.file}").output
        found = re.search(r"(\d+) packets transmitted, (\d+) received", output)
        require(found, f"{name}: ping printed no statistics:\n{output[-500:]}")
        sent, received = int(found[1]), int(found[2])
        # The last one may have left within the last moment.
        seen = {int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", output)}
        lost = [number for number in range(1, sent) if number not in seen]
        require(received > 0 and not lost,
                f"{name}: {len(lost)} of {sent} pings lost: {lost[:20]}")
        return sent


class Lab:
    """One set of networks, at most one guest, and a fresh server for every case."""

    def __init__(self, programs, cache, megabytes=1024, server="server"):
        """`server` is the folder beside this one with the server's configuration."""
        self.programs = pathlib.Path(programs).resolve()
        self.cache = pathlib.Path(cache).resolve()
        self.megabytes = megabytes
        self.kind = server
        self.results = self.cache / "results"
        self.network = Network()
        self.guest = None
        self.clients = {}
        self.used = []
        self.server = None
        self.others = []
        self.helpers = []
        self.folder = None

    # The life of the lab.

    def begin(self, with_guest):
        """Networks up; the guest starts to boot in the background."""
        shutil.rmtree(self.results, ignore_errors=True)
        self.results.mkdir(parents=True)
        self.network.create()
        if with_guest:
            self.guest = Guest(self.cache / "guest", self.results / "guest", self.network.taps(),
                               self.network.name("wires"))
            self.guest.start()

    def end(self):
        """Nothing stays behind."""
        self._stop_helpers()
        for daemons in [self.server, *self.others]:
            if daemons:
                daemons.kill()
        if self.guest:
            self.guest.stop()
        self.network.remove()

    # The life of a case.

    def begin_case(self, name):
        """A fresh server, unless the case wants to start it in its own way."""
        self.folder = self.results / name
        self.folder.mkdir()
        self.used = []
        self.others = []
        self.server = Daemons(self.programs, self.network.name("server"), self.folder / "server",
                              configuration(self.kind))
        self.server.start()

    def end_case(self):
        """Clients off, daemons ended; complains about what does not end well or stays behind."""
        for client in self.used:
            client.vanish()
        self._stop_helpers()
        for daemons in [*self.others, self.server]:
            daemons.stop()
        left = sh("ip -o link show type tun", self.network.name("server"))
        require(not left.strip(), f"the server left interfaces behind: {left.strip()}")

    def abort_case(self):
        """After a failure: keeps the logs, ends everything."""
        for client in self.used:
            try:
                (self.folder / f"client-{client.name}.log").write_text(client.logs())
                client.vanish()
            except Exception as error:  # pylint: disable=broad-except
                (self.folder / f"client-{client.name}.log").write_text(f"no logs: {error}\n")
        self._stop_helpers()
        for daemons in [*self.others, self.server]:
            if daemons:
                daemons.kill()

    def _stop_helpers(self):
        for process in self.helpers:
            process.kill()
            process.wait()
        self.helpers.clear()

    # What cases use.

    def client(self, name):
        """A client of the client machine; the names are in the picture in network.py."""
        if name not in self.clients:
            self.guest.wait_ready()
            number = list(network.INTERFACES).index(name)
            _, address, gateway = network.INTERFACES[name]
            self.clients[name] = Client(self.guest, name, f"eth{number}", address, gateway)
        client = self.clients[name]
        if client not in self.used:
            self.used.append(client)
        return client

    def configure(self, client, user="alice", password=None, psk=PSK, server=network.SERVER,
                  **more):
        """Writes a client's configuration for this server."""
        client.configure(server, psk, user, password or USERS[user], **more)

    def own_client(self, name, **values):
        """A set of our own daemons as client, in its own namespace."""
        daemons = Daemons(self.programs, self.network.own_client(), self.folder / name,
                          configuration("own-client", **values))
        self.others.append(daemons)
        daemons.start()
        return daemons

    def serve_transfers(self):
        """Starts the transfer server on the server's inside address."""
        argv = ["ip", "netns", "exec", self.network.name("server"), str(TRANSFER), "serve",
                "0.0.0.0", str(TRANSFER_PORT)]
        self.helpers.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL))

    def transfer(self, namespace, verb, size):
        """A transfer from a namespace through the tunnel; returns the tool's line."""
        done = subprocess.run(["ip", "netns", "exec", namespace, str(TRANSFER), verb, INSIDE,
                               str(TRANSFER_PORT), str(size)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        require(done.returncode == 0, f"transfer failed: {done.stdout.strip()[-500:]}")
        return done.stdout.strip()

    def sessions(self, daemons=None):
        """`l2tpctl show sessions`, only those that are up."""
        listed = (daemons or self.server).control("l2tpctl", "show", "sessions")
        return [session for session in listed if session["state"] == "up"]

    def tunnels(self, daemons=None):
        """`l2tpctl show tunnels`."""
        return (daemons or self.server).control("l2tpctl", "show", "tunnels")

    def ike_sas(self, daemons=None):
        """`ikectl show ike`."""
        return (daemons or self.server).control("ikectl", "show", "ike")

    def ipsec_sas(self, daemons=None):
        """The pairs of `ikectl show ipsec`."""
        return (daemons or self.server).control("ikectl", "show", "ipsec")["pairs"]

    def kernel_sas(self, daemons=None):
        """The kernel's SAs in `ikectl show ipsec`."""
        return (daemons or self.server).control("ikectl", "show", "ipsec")["kernel"]

    def counters(self):
        """The protocol's counters in `ikectl show stats`."""
        return self.server.control("ikectl", "show", "stats")["core"]

    def refusals(self, reason):
        """How many times the server's ike-daemon refused something for this reason."""
        return self.counters()["refused"].get(reason, 0)

    def server_log_says(self, name, pattern, timeout=10):
        """Waits for a line in a server daemon's log."""
        return eventually(
            lambda: next((line for line in self.server.log(name).splitlines()
                          if re.search(pattern, line)), None),
            f"{name}'s log has no line that matches {pattern!r}", timeout)


def configuration(kind, **values):
    """The files of ../server, ../server-racoon or ../own-client with `$name` filled in. What the
    second lacks it has of the first."""
    folders = [CONFIGURATION.with_name(kind)]
    if kind.startswith("server-"):
        folders.insert(0, CONFIGURATION)
    values = {"psk": PSK, "server": network.SERVER, "own": network.OWN_CLIENT,
              "inside": INSIDE, "more": "", "more_ike": "", **values}
    return {path.name: string.Template(path.read_text()).substitute(values)
            for folder in folders for path in folder.iterdir()}
