"""SoftEther VPN Server (Debian's packages) as the other server, in a network namespace."""

import subprocess
import time

from harness.errors import LabError

# Its DHCP server's network, fixed; the hub's own interface gets this address.
INSIDE = "192.168.30.2"
# The bridge "se0", as SoftEther names its device.
DEVICE = "tap_se0"
SERVER = "/usr/libexec/softether/vpnserver/vpnserver"
# Where its files are is compiled in: each run has its own, which end with it.
FOLDERS = ["/run/softether", "/var/lib/softether", "/var/log/softether"]


class SoftEther:
    """One running server."""

    def __init__(self, namespace, psk, users):
        self.namespace = namespace
        mounts = "; ".join(f"mkdir -p {folder}; mount -t tmpfs tmpfs {folder}" for folder in FOLDERS)
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, "unshare", "--mount", "bash", "-c",
             f"{mounts}; exec {SERVER} execsvc"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        hub = "/ADMINHUB:DEFAULT"
        self.command(wait=30, words=["ServerInfoGet"])
        for name, password in users.items():
            self.command(hub, words=["UserCreate", name, "/GROUP:none", "/REALNAME:none", "/NOTE:none"])
            self.command(hub, words=["UserPasswordSet", name, f"/PASSWORD:{password}"])
        self.command(hub, words=["SecureNatEnable"])
        # Addresses by DHCP, packets through a TAP device: the system routes, as with our server.
        self.command(hub, words=["NatDisable"])
        self.command(words=["BridgeCreate", "DEFAULT", "/DEVICE:se0", "/TAP:yes"])
        self.command(words=["IPsecEnable", "/L2TP:yes", "/L2TPRAW:no", "/ETHERIP:no", f"/PSK:{psk}",
                            "/DEFAULTHUB:DEFAULT"])
        self.until(lambda: ":4500" in self.run("ss -lun"), "SoftEther does not open UDP 4500")
        # The answer to BridgeCreate comes before the device does.
        self.until(self.has_address, f"{DEVICE} does not get its address")

    @staticmethod
    def until(probe, complaint):
        """Waits for something to become true."""
        deadline = time.monotonic() + 30
        while not probe():
            if time.monotonic() > deadline:
                raise LabError(complaint)
            time.sleep(0.2)

    def has_address(self):
        """Gives the hub's device its address; whether it has it."""
        self.run(f"ip link set {DEVICE} up && ip addr replace {INSIDE}/24 dev {DEVICE}")
        return INSIDE in self.run(f"ip -4 -o addr show dev {DEVICE}")

    def run(self, script):
        """A shell script beside it."""
        done = subprocess.run(["ip", "netns", "exec", self.namespace, "bash", "-c", script],
                              capture_output=True, text=True, check=False)
        return done.stdout

    def command(self, *scope, words, wait=0):
        """One command of vpncmd."""
        deadline = time.monotonic() + wait
        while True:
            done = subprocess.run(["ip", "netns", "exec", self.namespace, "vpncmd",
                                   "localhost:5555", "/SERVER", *scope, "/CMD", *words],
                                  capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
            if done.returncode == 0:
                return done.stdout
            if time.monotonic() > deadline:
                raise LabError(f"vpncmd {' '.join(words)}: {done.stdout[-500:]}")
            time.sleep(0.3)

    def pids(self):
        """The watcher and the server proper."""
        children = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True,
                                  text=True, check=False).stdout.split()
        return [self.process.pid, *map(int, children)]

    def stop(self):
        """Ends it."""
        for pid in reversed(self.pids()):
            subprocess.run(["kill", "-KILL", str(pid)], check=False)
        self.process.wait()
