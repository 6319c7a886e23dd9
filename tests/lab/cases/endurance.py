"""What running connections survive."""

import time

from harness.lab import INSIDE, Ping, eventually, require

from .registry import case


@case("vanish", "the client dies without a word and returns at once")
def vanish(lab):
    client = lab.client("n1")
    lab.configure(client)
    client.connect()
    require(client.ping(INSIDE), "no echo")
    before = {tunnel["id"] for tunnel in lab.tunnels()}
    client.vanish()
    address = client.connect()
    require(client.ping(INSIDE, count=10), "no echo after the return")
    require({tunnel["id"] for tunnel in lab.tunnels()} - before, "no new tunnel")
    require(address in [session["address"] for session in lab.sessions()],
            "the server does not show the new session")
    return f"back online after {client.connect_seconds:.1f} s"


@case("rekey", "phase 1 and phase 2 rekeyed under traffic, no ping lost")
def rekey(lab):
    client = lab.client("n1")
    lab.configure(client,
                  ike_times="rekey_time = 30s\n    over_time = 30s\n    rand_time = 0s",
                  child_times="rekey_time = 20s\n        life_time = 60s\n        rand_time = 0s")
    client.connect()
    ping = Ping(client)
    first_ike = {sa["id"] for sa in lab.ike_sas()}
    first_children = {sa["id"] for sa in lab.ipsec_sas()}
    children, ikes = set(), set()
    deadline = time.monotonic() + 75
    while time.monotonic() < deadline and not (len(children) >= 2 and ikes):
        children |= {sa["id"] for sa in lab.ipsec_sas()} - first_children
        ikes |= {sa["id"] for sa in lab.ike_sas() if sa["state"] == "established"} - first_ike
        time.sleep(0.5)
    # And once more after both: the last SAs carry traffic too.
    time.sleep(3)
    count = ping.end("rekey")
    require(len(children) >= 2, f"{len(children)} new IPsec SAs in 75 s")
    require(ikes, "no new ISAKMP SA in 75 s")
    require(len(lab.tunnels()) == 1, f"tunnels: {lab.tunnels()}")
    return f"{len(children)} IPsec and {len(ikes)} ISAKMP SAs renewed during {count} pings"


@case("restart", "ike-daemon and l2tpd restarted one after the other, no ping lost")
def restart(lab):
    client = lab.client("n1")
    lab.configure(client)
    client.connect()
    before = {(tunnel["id"], tunnel["peer_id"]) for tunnel in lab.tunnels()}
    cookies = {sa["initiator_cookie"] for sa in lab.ike_sas()}
    ping = Ping(client)
    for name in ["ike-daemon", "l2tpd"]:
        lab.server.restart(name)
        time.sleep(1)
    after = eventually(lambda: {(tunnel["id"], tunnel["peer_id"]) for tunnel in lab.tunnels()},
                       "l2tpd has forgotten the tunnel")
    require(after == before, f"tunnels before {before}, after {after}")
    require(len(lab.sessions()) == 1, f"sessions: {lab.sessions()}")
    require({sa["initiator_cookie"] for sa in lab.ike_sas()} == cookies,
            "ike-daemon has forgotten the ISAKMP SA")
    # What was taken over can be worked with: a Quick Mode of the client, and its farewell.
    client.run("swanctl --rekey --child managed")
    eventually(lambda: len(lab.ipsec_sas()) == 2, "no new IPsec SA after the client's Quick Mode")
    count = ping.end("restart")
    client.disconnect()
    eventually(lambda: not lab.tunnels(), "the tunnel is still there after StopCCN")
    eventually(lambda: not lab.ipsec_sas(), "the IPsec SAs are still there after Delete")
    return f"{count} pings"
