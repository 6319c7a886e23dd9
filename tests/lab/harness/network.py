"""The lab's networks, in namespaces of their own:

                     203.0.113.0/24 "inet"
    server .10 ────────┬──────────┬────────
                       │ .1       │ .2
                  router plain   router nat (masquerade)
                       │ .1       │ .1
      198.51.100.0/24 "plain"   192.0.2.0/24 "nat"
          │ .11     │ .12          │ .11    │ .12
         tap        tap           tap      tap       four interfaces of the client machine
          (.21: a namespace for a client of our own)

The bridges and taps live in the namespace "wires".
"""

import os
import subprocess

from .errors import LabError

SERVER = "203.0.113.10"
NAT_ADDRESS = "203.0.113.2"
PLAIN_GATEWAY = "198.51.100.1"
NAT_GATEWAY = "192.0.2.1"
OWN_CLIENT = "198.51.100.21"

# Interfaces of the client machine in order: (tap, bridge, address, gateway).
INTERFACES = [
    ("tap0", "plain", "198.51.100.11/24", PLAIN_GATEWAY),
    ("tap1", "plain", "198.51.100.12/24", PLAIN_GATEWAY),
    ("tap2", "nat", "192.0.2.11/24", NAT_GATEWAY),
    ("tap3", "nat", "192.0.2.12/24", NAT_GATEWAY),
]


def sh(script, namespace=None):
    """Runs a shell script, in a namespace if named, and returns its output."""
    argv = ["bash", "-ec", script]
    if namespace:
        argv = ["ip", "netns", "exec", namespace, *argv]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode != 0:
        raise LabError(f"exit code {done.returncode}: {script.strip()}\n{done.stdout.rstrip()}")
    return done.stdout


class Network:
    """Creates the namespaces; `remove` takes everything away again."""

    def __init__(self):
        self.prefix = f"lab{os.getpid()}-"
        self.names = []

    def name(self, short):
        """The namespace's name on this host: several labs may run at once."""
        return self.prefix + short

    def add(self, short):
        """A new namespace with its loopback up."""
        name = self.name(short)
        sh(f"ip netns add {name}; ip -n {name} link set lo up")
        self.names.append(name)
        return name

    def wire(self, short, interface, bridge, address):
        """Connects a namespace to a bridge."""
        wires, name = self.name("wires"), self.name(short)
        port = f"{short}-{interface}"[:15]
        sh(f"""
            ip -n {wires} link add {port} type veth peer name {interface} netns {name}
            ip -n {wires} link set {port} master {bridge} up
            ip -n {name} addr add {address} dev {interface}
            ip -n {name} link set {interface} up
        """)

    def create(self):
        """Everything in the picture but the namespace for our own client."""
        wires = self.add("wires")
        for bridge in ["inet", "plain", "nat"]:
            sh(f"ip -n {wires} link add {bridge} type bridge stp_state 0; "
               f"ip -n {wires} link set {bridge} up")
        for tap, bridge, _, _ in INTERFACES:
            sh(f"ip -n {wires} tuntap add dev {tap} mode tap; "
               f"ip -n {wires} link set {tap} master {bridge} up")
        for router, wan, gateway in [("plain", "203.0.113.1/24", PLAIN_GATEWAY),
                                     ("nat", f"{NAT_ADDRESS}/24", NAT_GATEWAY)]:
            name = self.add(router)
            self.wire(router, "wan", "inet", wan)
            self.wire(router, "lan", router, f"{gateway}/24")
            sh("sysctl -qw net.ipv4.ip_forward=1", name)
        sh("""
            nft add table ip nat
            nft add chain ip nat out '{ type nat hook postrouting priority srcnat; }'
            nft add rule ip nat out oifname wan masquerade
        """, self.name("nat"))
        server = self.add("server")
        self.wire("server", "eth0", "inet", f"{SERVER}/24")
        sh(f"ip -n {server} route add 198.51.100.0/24 via 203.0.113.1; "
           f"ip -n {server} route add default via {NAT_ADDRESS}")

    def create_own_client(self):
        """The namespace for a client of our own."""
        own = self.add("own")
        self.wire("own", "eth0", "plain", f"{OWN_CLIENT}/24")
        sh(f"ip -n {own} route add default via {PLAIN_GATEWAY}")
        return own

    def taps(self):
        """(tap, MAC address) of the client machine's interfaces."""
        return [(tap, f"52:54:00:00:00:{number + 0x10:02x}")
                for number, (tap, _, _, _) in enumerate(INTERFACES)]

    def remove(self):
        """Deletes the namespaces and with them every interface."""
        for name in reversed(self.names):
            subprocess.run(["ip", "netns", "delete", name], check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.names.clear()
