"""Cases with our own daemons on both sides: no client machine, full speed."""

import json
import re
import struct
import subprocess

from harness import network
from harness.lab import INSIDE, PSK, USERS, eventually, require
from harness.network import sh

from .registry import case

def sccrq():
    """A Start-Control-Connection-Request (RFC 2661 6.1) with what xl2tpd puts into it."""
    def avp(number, value):
        return struct.pack(">HHH", 0x8000 | (6 + len(value)), 0, number) + value

    body = b"".join([
        avp(0, b"\x00\x01"),          # Message Type
        avp(2, b"\x01\x00"),          # Protocol Version
        avp(3, b"\x00\x00\x00\x03"),  # Framing Capabilities
        avp(4, b"\x00\x00\x00\x00"),  # Bearer Capabilities
        avp(7, b"lab"),               # Host Name
        avp(9, b"\x00\x07"),          # Assigned Tunnel ID
        avp(10, b"\x00\x04"),         # Receive Window Size
    ])
    return struct.pack(">HHHHHH", 0xc802, 12 + len(body), 0, 0, 0, 0) + body


def own_client_online(lab, name="client"):
    """Starts our own client and waits until it is online; returns its daemons and address."""
    client = lab.own_client(name, user="alice", password=USERS["alice"])
    session = eventually(lambda: next(iter(lab.sessions(client)), None),
                         "our own client is not online", 30)
    return client, session["address"]


def ping_from(namespace, count=5):
    """True when every echo through the tunnel came back."""
    done = subprocess.run(["ip", "netns", "exec", namespace, "ping", "-n", "-q", "-c", str(count),
                           "-i", "0.2", "-W", "2", INSIDE], capture_output=True, text=True,
                          check=False)
    return " 0% packet loss" in done.stdout


@case("own-client", "our own client: connected, 1 GB (or --megabytes) each way, a farewell", guest=False)
def own_client(lab):
    client, address = own_client_online(lab)
    namespace = lab.network.name("own")
    require(address in [session["address"] for session in lab.sessions()],
            "the server does not show the session")
    require(ping_from(namespace), "no echo through the tunnel")
    lab.serve_transfers()
    eventually(lambda: "LISTEN" in sh("ss -ltnH 'sport = 7000'", lab.network.name("server")),
               "the transfer server does not listen")
    rates = []
    for verb in ["get", "put"]:
        line = lab.transfer(namespace, verb, lab.megabytes << 20)
        rates.append(f"{verb} {re.search(r'([0-9]+ Mbit/s)', line)[1]}")
    client.stop()
    eventually(lambda: not lab.tunnels(), "the tunnel is still there after StopCCN")
    eventually(lambda: not lab.ipsec_sas(), "the IPsec SAs are still there after Delete")
    left = sh("ip -o link show type tun", namespace)
    require(not left.strip(), f"the client left interfaces behind: {left.strip()}")
    return ", ".join(rates)


@case("own-restart", "our own client and server, every daemon but the kernel restarted in turn",
      guest=False)
def own_restart(lab):
    client, _ = own_client_online(lab)
    namespace = lab.network.name("own")
    ping = subprocess.Popen(["ip", "netns", "exec", namespace, "ping", "-n", "-i", "0.1", "-w",
                             "20", INSIDE], stdout=subprocess.PIPE, text=True)
    lab.helpers.append(ping)
    for daemons in [lab.server, client]:
        for name in ["ike-daemon", "l2tpd"]:
            daemons.restart(name)
    for daemons in [lab.server, client]:
        eventually(lambda daemons=daemons: len(lab.sessions(daemons)) == 1,
                   "the session is not taken over")
    ping.send_signal(2)
    output = ping.communicate(timeout=25)[0]
    require(" 0% packet loss" in output, output[-500:])


def fragments_made(namespace):
    """How many IPv4 packets this host has cut."""
    names, values = (line.split() for line in sh("grep ^Ip: /proc/net/snmp", namespace).splitlines())
    return int(values[names.index("FragCreates")])


@case("narrow-path", "a path narrower than ESP packets: cut on the way, joined again, nothing lost",
      guest=False)
def narrow_path(lab):
    router = lab.network.name("plain")
    routes = ["198.51.100.0/24 dev lan proto kernel scope link src 198.51.100.1",
              "203.0.113.0/24 dev wan proto kernel scope link src 203.0.113.1"]
    try:
        for route in routes:
            sh(f"ip route replace {route} mtu lock 1300", router)
        own_client_online(lab)
        namespace = lab.network.name("own")
        before = fragments_made(router)
        # As long as the tunnel takes, and not to be cut inside it; then longer, cut inside it too.
        for words in ["-M do -s 1372", "-M dont -s 4000"]:
            sh(f"ping -n -q -c 5 -i 0.2 -W 2 {words} {INSIDE} | grep ' 0% packet loss'", namespace)
        require(fragments_made(router) >= before + 20, "the router has cut nothing")
        # What does not fit the tunnel is refused before it gets there.
        refused = sh(f"ping -n -c 1 -W 2 -M do -s 1373 {INSIDE} 2>&1 || true", namespace)
        require("too long" in refused, refused)
        lab.serve_transfers()
        eventually(lambda: "LISTEN" in sh("ss -ltnH 'sport = 7000'", lab.network.name("server")),
                   "the transfer server does not listen")
        for verb in ["get", "put"]:
            lab.transfer(namespace, verb, 4 << 20)
    finally:
        for route in routes:
            sh(f"ip route replace {route}", router)


@case("cleartext-sccrq", "a bare SCCRQ to UDP 1701 gets no answer and opens nothing", guest=False)
def cleartext_sccrq(lab):
    namespace = lab.network.name("plain")
    code = ("import socket\n"
            "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            "s.settimeout(3)\n"
            f"s.sendto(bytes.fromhex('{sccrq().hex()}'), ('{network.SERVER}', 1701))\n"
            "try:\n    print(s.recv(2000).hex())\nexcept OSError:\n    pass\n")
    done = subprocess.run(["ip", "netns", "exec", namespace, "/usr/bin/python3", "-c", code],
                          capture_output=True, text=True, check=False)
    require(done.returncode == 0, done.stderr)
    require(not done.stdout.strip(), f"the server answered {done.stdout}")
    require(not lab.tunnels(), f"the server has a tunnel: {lab.tunnels()}")


def load(lab, *words):
    """The command for clients of tanuki-load, all behind one address."""
    return ["ip", "netns", "exec", lab.network.own_client(), str(lab.programs / "tanuki-load"),
            "--server", network.SERVER, "--psk", PSK, "--json", *words]


@case("many-clients", "thirty clients at once, behind one address: online, every echo answered, nothing left",
      guest=False)
def many_clients(lab):
    argv = load(lab, "--user", "alice", "--password", USERS["alice"], "--clients", "30", "--hold", "3",
                "--echo", "60")
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    require(done.returncode == 0, f"tanuki-load: {done.stdout}{done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    require(found["connected"] == 30, f"{found['failed']}")
    echoes = found["echoes"]
    # Those that were under way at the end may lack their answer.
    require(echoes["sent"] > 100 and echoes["answered"] >= echoes["sent"] - 30, f"{echoes}")
    eventually(lambda: not lab.tunnels(), "tunnels are left after StopCCN")
    eventually(lambda: not lab.ipsec_sas(), "IPsec SAs are left after Delete")
    return f"all online within {found['connect_ms']['max']:.0f} ms"


@case("ike-only", "ten clients at once that stop after Quick Mode: SAs for each, no tunnel, nothing left",
      guest=False)
def ike_only(lab):
    with subprocess.Popen(load(lab, "--ike-only", "--clients", "10", "--hold", "3"), text=True,
                          stdout=subprocess.PIPE) as clients:
        found = json.loads(clients.stdout.readline())
        require(found["connected"] == 10, f"{found['failed']}")
        require(len(lab.ipsec_sas()) == 10, f"{lab.ipsec_sas()}")
        require(not lab.tunnels(), f"{lab.tunnels()}")
        clients.communicate(timeout=60)
    require(clients.returncode == 0, f"tanuki-load ended with {clients.returncode}")
    eventually(lambda: not lab.ipsec_sas(), "IPsec SAs are left after Delete")
