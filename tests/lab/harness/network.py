"""The lab's networks, in namespaces of their own:

                     203.0.113.0/24 "inet"
    server .10 ────────┬──────────┬────────
                       │ .1       │ .2
                  router plain   router nat (masquerade)
                       │ .1       │ .1
      198.51.100.0/24 "plain"   192.0.2.0/24 "nat"
          │ .11     │ .12          │ .11   │ .12     │ .101        │ .102
         p1         p2             n1      n2      router home1  router home2 (masquerade)
          (.21: a namespace for                      │ .1          │ .1
           a client of our own)                    192.168.1.0/24, twice
                                                     │ .11         │ .11
                                                     h1            h2

p1 to h2 are interfaces of the client machine. Bridges and taps live in the namespace "wires".
"""

import os
import subprocess

from .errors import LabError

SERVER = "203.0.113.10"
NAT_ADDRESS = "203.0.113.2"
OWN_CLIENT = "198.51.100.21"

# Interfaces of the client machine in order: name -> (bridge, address, gateway).
INTERFACES = {
    "p1": ("plain", "198.51.100.11/24", "198.51.100.1"),
    "p2": ("plain", "198.51.100.12/24", "198.51.100.1"),
    "n1": ("nat", "192.0.2.11/24", "192.0.2.1"),
    "n2": ("nat", "192.0.2.12/24", "192.0.2.1"),
    "h1": ("home1", "192.168.1.11/24", "192.168.1.1"),
    "h2": ("home2", "192.168.1.11/24", "192.168.1.1"),
}

# Routers: name -> (bridge and address outside, bridge and address inside, gateway).
ROUTERS = {
    "plain": ("inet", "203.0.113.1/24", "plain", "198.51.100.1/24", None),
    "nat": ("inet", f"{NAT_ADDRESS}/24", "nat", "192.0.2.1/24", None),
    "home1": ("nat", "192.0.2.101/24", "home1", "192.168.1.1/24", "192.0.2.1"),
    "home2": ("nat", "192.0.2.102/24", "home2", "192.168.1.1/24", "192.0.2.1"),
}


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
        for bridge in ["inet", *ROUTERS]:
            sh(f"ip -n {wires} link add {bridge} type bridge stp_state 0; "
               f"ip -n {wires} link set {bridge} up")
        for name, (bridge, _, _) in INTERFACES.items():
            sh(f"ip -n {wires} tuntap add dev tap-{name} mode tap; "
               f"ip -n {wires} link set tap-{name} master {bridge} up")
        for router, (outside, wan, inside, lan, gateway) in ROUTERS.items():
            name = self.add(router)
            self.wire(router, "wan", outside, wan)
            self.wire(router, "lan", inside, lan)
            sh("echo 1 >/proc/sys/net/ipv4/ip_forward", name)
            if gateway:
                sh(f"ip route add default via {gateway}", name)
            if router != "plain":
                sh("""
                    nft add table ip nat
                    nft add chain ip nat out '{ type nat hook postrouting priority srcnat; }'
                    nft add rule ip nat out oifname wan masquerade
                """, name)
        server = self.add("server")
        self.wire("server", "eth0", "inet", f"{SERVER}/24")
        sh(f"ip -n {server} route add 198.51.100.0/24 via 203.0.113.1; "
           f"ip -n {server} route add default via {NAT_ADDRESS}")

    def own_client(self, short="own", address=OWN_CLIENT):
        """The namespace for a client of our own, made when it is first asked for."""
        own = self.name(short)
        if own not in self.names:
            self.add(short)
            self.wire(short, "eth0", "plain", f"{address}/24")
            sh(f"ip -n {own} route add default via {INTERFACES['p1'][2]}")
        return own

    def taps(self):
        """(tap, MAC address) of the client machine's interfaces."""
        return [(f"tap-{name}", f"52:54:00:00:00:{number + 0x10:02x}")
                for number, name in enumerate(INTERFACES)]

    def remove(self):
        """Deletes the namespaces and with them every interface."""
        for name in reversed(self.names):
            subprocess.run(["ip", "netns", "delete", name], check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.names.clear()
