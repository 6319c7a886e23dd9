"""libreswan as a client that does not keep to the rules: its developers' `--impair` corrupts what it
sends. The server refuses or puts up with it, counts it, and serves the next one."""

from harness import ipsec
from harness.lab import INSIDE, eventually, require

from .registry import case

WHACK = "/usr/libexec/ipsec/whack"

# What pluto spoils when it connects, and the refusal that the server counts.
REFUSED = [
    ("ke-payload:omit", "invalid key exchange value"),
    ("ke-payload:empty", "invalid key exchange value"),
    # All octets the same: 0 and, beyond the prime, 255. With 1 the value is good, but not pluto's.
    ("ke-payload:0", "invalid key exchange value"),
    ("ke-payload:255", "invalid key exchange value"),
    ("ke-payload:1", "pre-shared key mismatch"),
    ("ike-initiator-spi:0", "malformed message"),
    # In the header of every payload.
    ("send-nonzero-reserved", "malformed message"),
    ("ike-key-length-attribute:77", "no acceptable phase 1 proposal"),
    ("child-key-length-attribute:77", "no acceptable phase 2 proposal"),
    # Leaves 3DES, which has no key length.
    ("child-key-length-attribute:0", "no acceptable phase 2 proposal (only 3DES offered)"),
    ("v1-hash-payload:omit v1-hash-exchange:quick", "authentication of a message failed"),
    ("v1-hash-payload:empty v1-hash-exchange:quick", "authentication of a message failed"),
    ("v1-hash-payload:duplicate v1-hash-exchange:quick", "authentication of a message failed"),
    ("v1-hash-payload:0 v1-hash-exchange:quick", "authentication of a message failed"),
]

# With these it gets its SAs; the counter that tells that something was wrong, where there is one.
TOLERATED = [
    # AES without a length is AES-128.
    ("ike-key-length-attribute:omit", None),
    ("ike-key-length-attribute:empty", None),
    # A reserved flag in the ISAKMP header of its Main Mode.
    ("send-bogus-isakmp-flag", None),
    # A third message of 1472 octets.
    ("bust-mi2", None),
    ("jacob-two-two", "duplicates"),
    ("drop-outgoing:2", None),
    ("drop-incoming:2", "duplicates"),
    ("replay-duplicates", None),
    ("replay-forward", "bad_messages"),
    ("replay-backward", "bad_messages"),
]

# What it spoils when it leaves; the refusal, or none where the server takes its leave.
LEAVING = [
    ("ikev1-del-with-notify", None),
    ("v1-hash-payload:0 v1-hash-exchange:delete", "authentication of a message failed"),
    ("v1-hash-payload:omit v1-hash-exchange:delete", "authentication of a message failed"),
]


def impair(impairments):
    """A script that spoils this and nothing else."""
    return "\n".join([f"{WHACK} --impair none",
                      *(f"{WHACK} --impair {name}" for name in impairments.split())])


def connect(client, impairments=""):
    """Forgets what was, and begins a connection with these impairments."""
    client.run(f"{WHACK} --impair none; {WHACK} --terminate --name managed >/dev/null\n"
               f"{impair(impairments)}\n{WHACK} --initiate --asynchronous --name managed")


def resident_set(lab):
    """Kilobytes of memory that ike-daemon has."""
    with open(f"/proc/{lab.server.processes['ike-daemon'].pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def established(lab, what):
    """Waits for the IPsec SAs."""
    return eventually(lab.ipsec_sas, f"{what}: no IPsec SAs", 40)


@case("misbehaving", "libreswan's --impair: what pluto can spoil in IKEv1 harms nobody")
def misbehaving(lab):
    rules = lab.server.folder / "ike-daemon.yaml"
    rules.write_text(rules.read_text() + "dpd: {interval: 10s, retry: 2s, attempts: 3}\n")
    require("reloaded" in lab.server.text("ikectl", "reload"), "the server refused its configuration")
    client = lab.client("p1")
    lab.configure(client, flavour="libreswan")
    client.run(ipsec.PLUTO)
    connect(client)
    established(lab, "nothing spoiled")
    at_first = resident_set(lab)

    for impairments, reason in REFUSED:
        before = lab.refusals(reason)
        connect(client, impairments)
        eventually(lambda reason=reason, before=before: lab.refusals(reason) > before,
                   f"{impairments}: the server did not count {reason!r}", 40)
        require(not lab.ipsec_sas(), f"{impairments}: there is an IPsec SA")
    for impairments, counter in TOLERATED:
        before = lab.counters()
        connect(client, impairments)
        established(lab, impairments)
        require(counter is None or lab.counters()[counter] > before[counter],
                f"{impairments}: the server noticed nothing")
        client.run(f"{WHACK} --impair none; {WHACK} --terminate --name managed >/dev/null")
        eventually(lambda: not lab.ipsec_sas(), f"{impairments}: the SAs are there after Delete")
    for impairments, reason in LEAVING:
        # Those of the row before may still be there, which nobody took back.
        sas = {sa["id"] for sa in lab.ipsec_sas()}
        connect(client)
        new = eventually(lambda sas=sas: {sa["id"] for sa in lab.ipsec_sas()} - sas,
                         f"before {impairments}: no IPsec SAs", 40)
        before = lab.refusals(reason)
        client.run(f"{impair(impairments)}\n{WHACK} --terminate --name managed >/dev/null")
        if reason:
            eventually(lambda reason=reason, before=before: lab.refusals(reason) > before,
                       f"{impairments}: the server did not count {reason!r}")
        else:
            eventually(lambda: not lab.ipsec_sas(), f"{impairments}: the SAs are still there")
        require(bool(reason) == (new <= {sa["id"] for sa in lab.ipsec_sas()}),
                f"{impairments}: a Delete counts only with its HASH")
    # Nothing spoiled any more; the client's last SAs vanish with it.
    connect(client)
    lab.configure(client, flavour="libreswan")
    client.start_l2tp()
    client.wait_ppp()
    require(client.ping(INSIDE), "no echo after all that")
    client.vanish()
    eventually(lambda: not lab.ike_sas() and not lab.ipsec_sas(),
               "what nobody took back is not found dead", 90)
    grown = resident_set(lab) - at_first
    require(grown < 1024, f"ike-daemon grew by {grown} kB")
    rows = len(REFUSED) + len(TOLERATED) + len(LEAVING)
    return f"{rows} impairments, ike-daemon grew by {grown} kB"
