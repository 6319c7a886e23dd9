"""IPv6 through the tunnel: a prefix for every session, told by router advertisements."""

import ipaddress
import subprocess

from harness import network
from harness.lab import USERS, eventually, require
from harness.network import sh

from .connecting import check_farewell
from .registry import case

PREFIXES = ipaddress.ip_network("2001:db8:77::/48")
# A host behind the server, which knows no other way.
BEHIND = "2001:db8:1::9"
DNS = "2001:db8:1::53"
# Nobody's on the server's side.
STRANGER = "2001:db8:bad::1"


def serve_ipv6(lab):
    """The server advertises, forwards, and has a host behind it."""
    server = lab.network.name("server")
    if "behind" not in [name.removeprefix(lab.network.prefix) for name in lab.network.names]:
        behind = lab.network.add("behind")
        sh(f"""
            ip -n {server} link add inside type veth peer name eth0 netns {behind}
            ip -n {server} addr add 2001:db8:1::1/64 dev inside nodad
            ip -n {server} link set inside up
            ip -n {behind} addr add {BEHIND}/64 dev eth0 nodad
            ip -n {behind} link set eth0 up
            ip -n {behind} route add default via 2001:db8:1::1
        """)
        sh("echo 1 >/proc/sys/net/ipv6/conf/all/forwarding", server)
    path = lab.server.folder / "l2tpd.yaml"
    path.write_text(path.read_text()
                    + f"ipv6: {{prefixes: ['{PREFIXES}'], dns: ['{DNS}']}}\n")
    lab.server.signal("l2tpd", 15)
    lab.server.start_one("l2tpd")


def check_prefix(lab):
    """The session's prefix, as the server shows and routes it."""
    session = next(iter(lab.sessions()))
    prefix = ipaddress.ip_network(session["prefix"])
    require(prefix.prefixlen == 64 and prefix.subnet_of(PREFIXES), f"the session has {prefix}")
    routes = sh("ip -6 route show", lab.network.name("server"))
    require(f"{prefix} dev" in routes, f"{prefix} is not routed:\n{routes}")
    return prefix


def address_in(prefix, listing):
    """The address that `ip -6 -o addr` shows in a prefix, dynamic as SLAAC makes it."""
    for line in listing.splitlines():
        words = line.split()
        if "inet6" in words and "dynamic" in words:
            address = ipaddress.ip_interface(words[words.index("inet6") + 1])
            if address.ip in prefix:
                return address.ip
    return None


@case("ipv6-own", "our own client: its system takes the advertisement, reaches a host behind the "
      "server by IPv6, and sends from nothing else", guest=False)
def ipv6_own(lab):
    serve_ipv6(lab)
    client = lab.own_client("client", user="alice", password=USERS["alice"],
                            more="    ipv6: true\n    routes: ['2001:db8:1::/48']\n")
    eventually(lambda: next(iter(lab.sessions(client)), None), "our own client is not online", 30)
    prefix = check_prefix(lab)
    own = lab.network.name("own")
    address = eventually(lambda: address_in(prefix, sh("ip -6 -o addr", own)),
                         f"the client has no address in {prefix}")

    def ping(*options):
        return subprocess.run(["ip", "netns", "exec", own, "ping", "-n", "-q", "-c", "3", "-i",
                               "0.2", "-W", "2", *options, BEHIND], capture_output=True, text=True,
                              check=False).stdout

    output = ping()
    require(" 0% packet loss" in output, f"no echo from {BEHIND}:\n{output}")
    # A server that takes its clients' packets for what they are.
    sh(f"ip addr add {STRANGER}/128 dev lo", own)
    sh(f"ip -6 route add {STRANGER}/128 via 2001:db8:1::1", lab.network.name("behind"))
    output = ping("-I", STRANGER)
    require("100% packet loss" in output, f"{STRANGER} is not the client's:\n{output}")
    require(" 0% packet loss" in ping(), "the client is lost")
    # A new l2tpd goes on where the old one was.
    lab.server.restart("l2tpd")
    require(check_prefix(lab) == prefix, "another prefix after a restart")
    require(" 0% packet loss" in ping(), f"no echo from {BEHIND} after a restart")
    client.stop()
    eventually(lambda: not lab.tunnels(), "the tunnel is still there after StopCCN")
    routes = sh("ip -6 route show", lab.network.name("server"))
    require(str(prefix) not in routes, f"{prefix} is still routed:\n{routes}")
    return str(address)


@case("ipv6-pppd", "ChromeOS's strongSwan and xl2tpd with IPv6 in pppd: Linux takes the "
      "advertisement on ppp0 and reaches a host behind the server")
def ipv6_pppd(lab):
    serve_ipv6(lab)
    client = lab.client("n1")
    lab.configure(client)
    client.run("echo +ipv6 >>/etc/ppp/managed.options")
    client.connect()
    prefix = check_prefix(lab)
    address = eventually(
        lambda: address_in(prefix, client.run("ip -6 -o addr show dev ppp0").output),
        f"ppp0 has no address in {prefix}")
    routes = client.run("ip -6 route").output
    require("default via fe80::" in routes and "proto ra" in routes,
            f"the client's default router:\n{routes}")
    require(client.ping(BEHIND), f"no echo from {BEHIND}")
    # The other way round: the host reaches the client.
    behind = lab.network.name("behind")
    done = subprocess.run(["ip", "netns", "exec", behind, "ping", "-n", "-q", "-c", "3", "-i",
                           "0.2", "-W", "5", str(address)], capture_output=True, text=True,
                          check=False)
    require(" 0% packet loss" in done.stdout, f"no echo from the client:\n{done.stdout}")
    client.disconnect()
    check_farewell(lab)
    return str(address)
