"""IPv6 through the tunnel: a prefix for every session, told by router advertisements."""

import base64
import ipaddress
import subprocess

from harness import network
from harness.lab import USERS, eventually, require
from harness.network import sh

from .connecting import check_farewell
from .native import ping_from, sccrq
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
    session = eventually(lambda: next(iter(lab.sessions()), None), "the server shows no session")
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


# Outside: the same networks, with IPv6.
SERVER6 = "2001:db8:203::10"
CLIENT6 = "2001:db8:198::11"
OWN_CLIENT6 = "2001:db8:198::21"
GATEWAY6 = "2001:db8:198::1"


def outer_ipv6(lab):
    """IPv6 from the plain network to the server."""
    server, router = lab.network.name("server"), lab.network.name("plain")
    own = lab.network.own_client()
    sh(f"""
        ip -n {server} addr replace {SERVER6}/64 dev eth0 nodad
        ip -n {server} route replace 2001:db8:198::/64 via 2001:db8:203::1
        ip -n {router} addr replace 2001:db8:203::1/64 dev wan nodad
        ip -n {router} addr replace {GATEWAY6}/64 dev lan nodad
        ip -n {own} addr replace {OWN_CLIENT6}/64 dev eth0 nodad
        ip -n {own} route replace default via {GATEWAY6}
    """)
    sh("echo 1 >/proc/sys/net/ipv6/conf/all/forwarding", router)


def check_outer(lab, peer, encapsulated):
    """IKE and ESP are between IPv6 addresses."""
    ike = [sa for sa in lab.ike_sas() if sa["state"] == "established"]
    require([sa["peer"] for sa in ike] == [f"[{peer}]:{4500 if encapsulated else 500}"],
            f"ISAKMP SAs: {ike}")
    pairs = lab.ipsec_sas()
    require([pair["encapsulation"] is not None for pair in pairs] == [encapsulated],
            f"IPsec SAs: {pairs}")


@case("ipv6-outside", "our own client over IPv6: plain ESP, then ESP in UDP", guest=False)
def ipv6_outside(lab):
    outer_ipv6(lab)
    own = lab.network.name("own")
    lab.serve_transfers()
    for name, nat in [("plain", ""), ("encapsulated", "nat_t: {force: true}\n")]:
        client = lab.own_client(name, user="alice", password=USERS["alice"], server=SERVER6,
                                more_ike=nat)
        eventually(lambda client=client: next(iter(lab.sessions(client)), None),
                   f"our own client is not online ({name})", 30)
        check_outer(lab, OWN_CLIENT6, bool(nat))
        session = next(iter(lab.sessions()))
        require(session["peer"] == f"[{OWN_CLIENT6}]:1701", f"the session's peer: {session}")
        require(ping_from(own), f"no echo through the tunnel ({name})")
        for verb in ["get", "put"]:
            lab.transfer(own, verb, 8 << 20)
        client.stop()
        eventually(lambda: not lab.tunnels(), "the tunnel is still there after StopCCN")
        check_farewell(lab)


@case("ipv6-strongswan", "strongSwan over IPv6, plain ESP and ESP in UDP: L2TP begins (xl2tpd itself "
      "knows IPv4 only)")
def ipv6_strongswan(lab):
    outer_ipv6(lab)
    client = lab.client("p1")
    for encapsulated, encap in [(False, "no"), (True, "yes")]:
        lab.configure(client, server=SERVER6)
        client.run(f"""
            ip -6 addr replace {CLIENT6}/64 dev eth0 nodad
            ip -6 route replace default via {GATEWAY6}
            sed -i 's/local_ts = .*/local_ts = "dynamic[17]"/' /etc/swanctl/swanctl.conf
            sed -i "s/version = .*/&\\n    encap = {encap}/" /etc/swanctl/swanctl.conf
        """)
        result = client.start_ipsec()
        require(result.code == 0, f"no IPsec SA:\n{result.output}")
        check_outer(lab, CLIENT6, encapsulated)
        states = client.esp_states()
        require(f"src {CLIENT6} dst {SERVER6}" in states
                and ("encap type espinudp" in states) == encapsulated, states)
        message = base64.b64encode(sccrq()).decode()
        answer = client.run(f"""
            exec 3<>/dev/udp/{SERVER6}/1701
            base64 -d <<<{message} >&3
            timeout 10 dd bs=2000 count=1 <&3 2>/dev/null | od -An -v -tx1 | tr -d ' \\n'
        """).output
        # The tunnel is ours by its number, the first AVP says SCCRP (RFC 2661 section 6.2).
        require(answer[8:12] == "0007" and answer[24:40] == "8008000000000002",
                f"no SCCRP but {answer!r}")
        require(all(tunnel["peer"].startswith(f"[{CLIENT6}]:") for tunnel in lab.tunnels()),
                f"tunnels: {lab.tunnels()}")
        client.disconnect()
        eventually(lambda: not lab.ipsec_sas() and not lab.ike_sas(), "SAs are left after Delete")
