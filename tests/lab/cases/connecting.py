"""The real client gets online, and everything fits on both sides."""

import re

from harness import network
from harness.lab import INSIDE, TRANSFER_PORT, eventually, require
from harness.transfer import hash_of

from .registry import case


def check_online(lab, client, address, user, peer, authentication="MS-CHAPv2"):
    """Both sides agree on one session; an echo comes back."""
    sessions = [session for session in lab.sessions() if session["address"] == address]
    require(len(sessions) == 1, f"the server shows {sessions} for {address}")
    session = sessions[0]
    require(session["user"] == user, f"user {session['user']} instead of {user}")
    require(session["authentication"] == authentication,
            f"authentication {session['authentication']} instead of {authentication}")
    require(session["peer"] == f"{peer}:1701",
            f"L2TP peer {session['peer']} instead of {peer}:1701")
    require(client.ping(INSIDE), f"client {client.name} gets no echo from {INSIDE}")
    dns = client.run("cat /etc/ppp/resolv.conf").output
    require(f"nameserver {INSIDE}" in dns, f"the client was told these name servers: {dns!r}")


def check_suites(lab, peer, encapsulated):
    """The suites that ChromeOS puts first, and ESP as the path demands it."""
    ike = [sa for sa in lab.ike_sas() if sa["peer"].startswith(peer + ":")
           and sa["state"] == "established"]
    require(len(ike) == 1, f"established ISAKMP SAs with {peer}: {ike}")
    suite = (ike[0]["cipher"], ike[0]["hash"], ike[0]["group"])
    require(suite == ("aes128", "sha256", "modp3072"), f"phase 1 suite {suite}")
    require(ike[0]["peer_nat"] == encapsulated and not ike[0]["local_nat"],
            f"NAT detection says {ike[0]}")
    children = [sa for sa in lab.ipsec_sas() if sa["peer"].startswith(peer + ":")]
    require(len(children) == 1, f"IPsec SAs with {peer}: {children}")
    require((children[0]["encapsulation"] is not None) == encapsulated,
            f"ESP-in-UDP: {children[0]['encapsulation']}")
    kernel = lab.kernel_sas()
    require(len(kernel) == 2 and all(
        (sa["mode"], sa["encryption"], sa["state"]) == ("transport", "aes-gcm-16", "mature")
        for sa in kernel), f"the kernel's SAs: {kernel}")


def check_client_states(client, encapsulated):
    """What the client's kernel holds."""
    states = client.esp_states()
    require(states.count("rfc4106(gcm(aes))") == 2, f"the client's SAs:\n{states}")
    require(("encap type espinudp" in states) == encapsulated, f"the client's SAs:\n{states}")


def check_farewell(lab):
    """After the client took its leave the server holds nothing of it."""
    eventually(lambda: not lab.tunnels(), "the tunnel is still there after StopCCN")
    eventually(lambda: not lab.ipsec_sas(), "the IPsec SAs are still there after Delete")
    eventually(lambda: not lab.ike_sas(), "the ISAKMP SA is still there after Delete")


@case("plain-esp", "ChromeOS of today, no NAT: raw ESP, and a farewell that leaves nothing")
def plain_esp(lab):
    client = lab.client("p1")
    lab.configure(client)
    address = client.connect()
    check_online(lab, client, address, "alice", client.address)
    check_suites(lab, client.address, encapsulated=False)
    check_client_states(client, encapsulated=False)
    client.disconnect()
    check_farewell(lab)
    return f"IPsec after {client.ike_seconds:.1f} s, online after {client.connect_seconds:.1f} s"


@case("behind-nat", "ChromeOS of today behind NAT: ESP in UDP 4500")
def behind_nat(lab):
    client = lab.client("n1")
    lab.configure(client)
    address = client.connect()
    check_online(lab, client, address, "alice", network.NAT_ADDRESS)
    check_suites(lab, network.NAT_ADDRESS, encapsulated=True)
    check_client_states(client, encapsulated=True)
    client.disconnect()
    check_farewell(lab)
    return f"IPsec after {client.ike_seconds:.1f} s, online after {client.connect_seconds:.1f} s"


@case("chromeos-2018", "ChromeOS of 2018 (starter, stroke), without and behind NAT")
def chromeos_2018(lab):
    for name, peer in [("p1", None), ("n1", network.NAT_ADDRESS)]:
        client = lab.client(name)
        lab.configure(client, user="bob", flavour="chromeos-2018")
        address = client.connect()
        check_online(lab, client, address, "bob", peer or client.address)
        check_client_states(client, encapsulated=peer is not None)
        client.disconnect()
        check_farewell(lab)


def both_alive(lab, first, second):
    """Connects both; each stays alive beside the other, and when the other leaves."""
    lab.configure(first, user="alice")
    lab.configure(second, user="bob")
    address = first.connect()
    check_online(lab, first, address, "alice", network.NAT_ADDRESS)
    other = second.connect()
    require(other != address, f"both clients got {address}")
    check_online(lab, second, other, "bob", network.NAT_ADDRESS)
    check_online(lab, first, address, "alice", network.NAT_ADDRESS)
    reqids = {tunnel["reqid"] for tunnel in lab.tunnels()}
    require(len(reqids) == 2 and None not in reqids, f"reqids of the tunnels: {reqids}")
    jobs = [client.begin(f"ping -n -q -c 25 -i 0.2 -W 5 {INSIDE}") for client in (first, second)]
    for client, job in zip((first, second), jobs):
        output = job.wait(60).output
        require(" 0% packet loss" in output, f"client {client.name}:\n{output}")
    first.disconnect()
    eventually(lambda: len(lab.tunnels()) == 1, "the first client's tunnel is still there")
    require(second.ping(INSIDE), "the second client died with the first")


@case("two-behind-nat", "two clients behind one NAT, both on port 1701: both stay alive")
def two_behind_nat(lab):
    both_alive(lab, lab.client("n1"), lab.client("n2"))


@case("same-address", "two clients with the same private address behind two NATs behind one NAT")
def same_address(lab):
    first, second = lab.client("h1"), lab.client("h2")
    require(first.address == second.address, "the lab gave them different addresses")
    both_alive(lab, first, second)


@case("download", "4 MB each way through the client's pppd, compared by hash")
def download(lab):
    size = 4 << 20
    client = lab.client("n1")
    lab.configure(client)
    client.connect()
    lab.serve_transfers()
    eventually(lambda: client.run(
        f"timeout 5 bash -c 'exec 3<>/dev/tcp/{INSIDE}/{TRANSFER_PORT}'", check=False).code == 0,
        "the transfer server does not answer through the tunnel")
    notes = []
    for verb, script in [
            ("download", f"echo get {size} >&3; cat <&3 >/tmp/noise; sha256sum /tmp/noise"),
            ("upload", f"echo put {size} >&3; cat /tmp/noise >&3; head -n 1 <&3")]:
        result = client.run(f"""
            exec 3<>/dev/tcp/{INSIDE}/{TRANSFER_PORT}
            read -r begin _ </proc/uptime
            {script}
            read -r end _ </proc/uptime
            echo "seconds $begin $end"
        """, 240)
        require(hash_of(size) in result.output, f"{verb}: wrong hash: {result.output}")
        begin, end = map(float, re.search(r"seconds (\S+) (\S+)", result.output).groups())
        notes.append(f"{verb} {size * 8 / (end - begin) / 1e6:.1f} Mbit/s")
    client.run("rm -f /tmp/noise")
    return ", ".join(notes)
