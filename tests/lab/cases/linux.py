"""The clients of Linux machines that are no Chromebooks."""

from harness import network
from harness.lab import INSIDE, Ping, eventually, require

from .connecting import check_farewell, check_online
from .registry import case


@case("libreswan", "libreswan, xl2tpd, pppd, without and behind NAT; it renews both phases under a ping")
def libreswan(lab):
    for name, peer in [("p1", None), ("n1", network.NAT_ADDRESS)]:
        client = lab.client(name)
        lab.configure(client, flavour="libreswan")
        address = client.connect()
        check_online(lab, client, address, "alice", peer or client.address)
        sas = lab.ipsec_sas()
        require([sa["encapsulation"] is not None for sa in sas] == [peer is not None],
                f"ESP-in-UDP: {sas}")
        if peer:
            renew(lab, client)
        client.disconnect()
        check_farewell(lab)


def renew(lab, client):
    """pluto's timers for both SAs go off at once, one after the other."""
    ping = Ping(client)
    for state, shown in [(2, lab.ipsec_sas), (1, lab.ike_sas)]:
        before = {sa["id"] for sa in shown()}
        client.run(f"timeout 20 ipsec whack --impair event-sa-replace:{state} >/dev/null 2>&1 &")
        eventually(lambda shown=shown, before=before: {
            sa["id"] for sa in shown() if sa["state"] in ("established", "installed")} - before,
            f"pluto's state {state} is not renewed")
    ping.end("libreswan")
    require(client.ping(INSIDE), "no echo after both phases were renewed")


@case("network-manager", "NetworkManager with its L2TP plugin, strongSwan and xl2tpd, behind NAT")
def network_manager(lab):
    client = lab.client("n1")
    lab.configure(client, flavour="network-manager")
    address = client.connect(timeout=180)
    check_online(lab, client, address, "alice", network.NAT_ADDRESS)
    suites = [(sa["cipher"], sa["hash"], sa["group"]) for sa in lab.ike_sas()
              if sa["state"] == "established"]
    client.disconnect()
    # The plugin ends IPsec before xl2tpd's farewell is out: the tunnel goes by its silence, later.
    eventually(lambda: not lab.ipsec_sas(), "the IPsec SAs are still there after Delete")
    eventually(lambda: not lab.ike_sas(), "the ISAKMP SA is still there after Delete")
    return f"phase 1 {suites}, online after {client.connect_seconds:.1f} s"
