"""The client machine's own kernel by PF_KEY: ike-daemon runs there, against strongSwan in another
node of the same machine. FreeBSD's kernel is the product's; this one holds pfkey's `numbering.rs`."""

import re

from harness import network
from harness.carry import Carrier
from harness.lab import PSK, Ping, eventually, require

from .registry import case

OURS, THEIRS = "198.51.100.11", "198.51.100.12"
PROGRAM = "/run/ike-daemon"

# This kernel's PF_KEY cuts HMAC-SHA2-256 to 96 bits, and has no AES-GCM.
CONFIGURATION = f"""
kernel: system
secrets: [{{psk: "{PSK}"}}]
phase2: {{traffic: any, suites: [aes128-sha1]}}
connections: {{strongswan: {{peer: {THEIRS}, protocol: 1, local_port: 0, peer_port: 0, start: MODE}}}}
log: {{level: debug, target: {{file: /var/log/ike-daemon.log}}}}
"""


def start(client, mode):
    """Starts our daemon in its node; `mode` is that of its connection."""
    client.run(client.guest.write("/run/ike-daemon.yaml", CONFIGURATION.replace("MODE", mode))
               + f"""chmod 600 /run/ike-daemon.yaml
                rm -f /var/log/ike-daemon.log
                {PROGRAM} --background -c /run/ike-daemon.yaml --runtime-dir /run/tanuki""")


def stop(client, name="TERM"):
    """Ends our daemon and waits for its end."""
    client.run(f"""pid=$(cat /run/tanuki/ike-daemon/ike-daemon.pid) || exit 0
        kill -{name} $pid; while kill -0 $pid 2>/dev/null; do sleep 0.1; done""", check=False)


def states(client):
    """The node's SAs in ESP transport mode with one of our reqids."""
    return re.findall(r"proto esp spi (0x[0-9a-f]+) reqid 4\d{3} mode transport",
                      client.esp_states())


def carried(client):
    """How many of the node's SAs have carried packets."""
    return len(re.findall(r"lifetime current:\n\s+[1-9]\d*\(bytes\)",
                          client.run("ip -s xfrm state").output))


@case("pf-key", "ike-daemon on Linux's own kernel by PF_KEY, against strongSwan, both ways")
def pf_key(lab):
    ours, theirs = lab.client("p1"), lab.client("p2")
    lab.configure(theirs, server=OURS)
    ours.run("modprobe af_key")
    with Carrier(lab.network.name("server"), network.SERVER, lab.folder) as carrier:
        carrier.carry(ours.run, lab.programs / "ike-daemon", PROGRAM)
    # What ping sends, and nothing else.
    theirs.run("sed -i 's/dynamic.17.1701./dynamic[icmp]/' /etc/swanctl/swanctl.conf")
    theirs.run("""/usr/lib/ipsec/charon >/var/log/charon.out 2>&1 </dev/null &
        for i in {1..300}; do [ -S /run/charon.vici ] && break; sleep 0.1; done
        swanctl --load-all""")
    try:
        start(ours, "auto")
        # Its REGISTER makes this kernel look for every algorithm it could have.
        eventually(lambda: len(states(ours)) == 2, "no SAs in the kernel", 120)
        policies = ours.run("ip xfrm policy").output
        wanted = r"\n\tdir (?:in|out) [^/]*proto esp reqid 4\d{3} mode transport"
        require(len(re.findall(wanted, policies)) == 2, f"no policies in the kernel: {policies}")
        require(ours.ping(THEIRS, 10), "no echo through the SAs")
        require(carried(ours) == 2, "an SA has carried nothing")
        before = states(ours)
        ping = Ping(ours, THEIRS)
        theirs.run("swanctl --rekey --child managed")
        eventually(lambda: set(states(ours)) - set(before), "nothing was renewed")
        count = ping.end("while the SAs were renewed")
        stop(ours)
        left = ours.run("ip xfrm state; ip xfrm policy | grep '^src 198'", check=False).output
        require(not left.strip(), f"left behind: {left}")
        theirs.vanish()

        start(ours, "manual")
        result = theirs.start_ipsec()
        require(result.code == 0, f"strongSwan has no SAs:\n{result.output}")
        require(len(states(ours)) == 2, "no SAs in the kernel as responder")
        # As responder it sets no policies (l2tpd's sockets have theirs), and Linux sends nothing
        # through an SA without one that names its reqid: what comes in is what there is to see.
        theirs.ping(OURS)
        require(carried(ours) == 1, "the inbound SA has carried nothing")
        return f"{count} echoes while SAs were renewed, none lost"
    finally:
        log = ours.run("cat /var/log/ike-daemon.log; ip xfrm policy", check=False).output
        (lab.folder / "ike-daemon.log").write_text(log)
        stop(ours)
