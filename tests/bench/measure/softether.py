"""SoftEther VPN Server (Debian's packages) as the other server, in a network namespace."""

import subprocess
import time

from harness.errors import LabError

# Its DHCP server's network, fixed; the hub's own interface gets this address.
INSIDE = "192.168.30.2"
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
        self.run(f"ip addr add {INSIDE}/24 dev tap_se0; ip link set tap_se0 up")
        deadline = time.monotonic() + 30
        while ":4500" not in self.run("ss -lun"):
            if time.monotonic() > deadline:
                raise LabError("SoftEther does not open UDP 4500")
            time.sleep(0.2)

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
