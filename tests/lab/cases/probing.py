"""ike-scan, which looks at servers from outside: what it is told, and that it is told no more than it
asks. The probes are those of its own check-ike-behaviour, which are no client's."""

import json
import re
import subprocess

from harness import network
from harness.lab import eventually, require
from harness.network import sh

from .registry import case

SUITE = "--trans=(1=7,14=256,2=4,3=1,4=14,11=1,12=0x00007080)"
GROUP_SUITE = "--trans=(1=7,14=256,2=2,3=1,4=14,11=1,12=0x00007080)"
NAT_T, DPD, FRAGMENTATION = ("4a131c81070358455c5728f20e95452f", "afcad71368a1f1c96b8696fc77570100",
                             "4048b7d56ebce88525e7de7f00d6c2d3c0000000")
NO_PROPOSAL = "Notify message 14 .NO-PROPOSAL-CHOSEN"
MAIN_MODE = "Main Mode Handshake returned"

# What ike-scan is to be told, as it prints it.
ANSWERED = [
    # The transform that fits, as it was offered (RFC 2409 5).
    ([SUITE], r"SA=\(Enc=AES KeyLength=256 Hash=SHA2-256 Auth=PSK Group=14:modp2048 LifeType=Seconds "
              r"LifeDuration\(4\)=0x00007080\)$"),
    (["--trans=(1=1,2=1,3=1,4=1)", SUITE], "Enc=AES KeyLength=256"),
    (["--trans=5,2,1,5"], "Enc=3DES Hash=SHA1 Auth=PSK Group=5:modp1536"),
    # Its own choice: DES, 3DES, MD5, MODP 768 and 1024.
    ([], NO_PROPOSAL),
    (["--trans=1,1,1,1"], NO_PROPOSAL),
    (["--trans=7/256,2,3,14"], NO_PROPOSAL),
    (["--trans=7/256,2,65001,14"], NO_PROPOSAL),
    (["--trans=7/256,2,64221,14"], NO_PROPOSAL),
    (["--protocol=0", SUITE], NO_PROPOSAL),
    (["--protocol=3", SUITE], NO_PROPOSAL),
    (["--transid=0", SUITE], NO_PROPOSAL),
    (["--transid=2", SUITE], NO_PROPOSAL),
    (["--ikev2"], "Notify message 5 .INVALID-MAJOR-VERSION"),
    (["--rcookie=0000000000000001", SUITE], "Notify message 4 .INVALID-COOKIE"),
    # Vendor ids are answered with those that both know, and with no others.
    ([SUITE, *(f"--vendor={vendor}" for vendor in (NAT_T, DPD, FRAGMENTATION))],
     rf"VID={NAT_T} .*VID={DPD} .*VID={FRAGMENTATION[:32]}"),
    ([SUITE, *(f"--vendor={number:032x}" for number in range(40))], r"0x00007080\)$"),
    # What a server puts up with.
    (["--sport=0", SUITE], MAIN_MODE),
    (["--nat-t", SUITE], MAIN_MODE),
    (["--nat-t", "--sport=0", SUITE], MAIN_MODE),
    (["--hdrflags=2", SUITE], MAIN_MODE),
    (["--certreq=04", SUITE], MAIN_MODE),
    (["--spisize=1", SUITE], MAIN_MODE),
    (["--spisize=8", SUITE], MAIN_MODE),
    (["--spisize=16", SUITE], MAIN_MODE),
    *(([f"--lifetime={lifetime}", "--trans=7/256,4,1,14"], MAIN_MODE)
      for lifetime in ["none", "0", "1", "0xff", "4000000000", "0xffffffff", "0xffffffffffffffff"]),
]

# What gets no answer at all; the counter that grows.
SILENT = [
    *([option, SUITE, "malformed"] for option in [
        "--mbz=1", "--mbz=255", "--doi=0", "--doi=2", "--situation=0", "--situation=2",
        "--headerver=0", "--headerver=0x11", "--headerver=0x30", "--headerver=255",
        "--headerlen=+1", "--headerlen=-1", "--headerlen=0", "--headerlen=28", "--headerlen=65535",
        "--hdrmsgid=1", "--hdrmsgid=4294967295", "--hdrflags=1", "--hdrflags=255",
        "--cookie=0000000000000000", "--nextpayload=5", "--nextpayload=255"]),
    *([f"--exchange={number}", SUITE, "ignored_exchanges"] for number in (0, 1, 32, 243, 255)),
    # An Informational for an SA that is not there.
    ["--exchange=5", SUITE, "unknown_cookies"],
]


class Prober:
    """ike-scan behind the router "plain", and what passed between it and the server."""

    def __init__(self, lab):
        self.lab = lab
        sh("nft add table inet count; nft delete table inet count; nft add table inet count; "
           "nft add chain inet count in '{ type filter hook input priority 0; }'; "
           "nft add chain inet count out '{ type filter hook output priority 0; }'; "
           "nft add counter inet count asked; nft add counter inet count answered; "
           "nft add rule inet count in udp dport '{ 500, 4500 }' counter name asked; "
           "nft add rule inet count out udp sport '{ 500, 4500 }' counter name answered",
           lab.network.name("server"))

    def octets(self):
        """Octets of IP packets with IKE since the last call: to the server, and from it."""
        listed = json.loads(sh("nft -j reset counters table inet count",
                               self.lab.network.name("server")))["nftables"]
        found = {item["counter"]["name"]: item["counter"]["bytes"]
                 for item in listed if "counter" in item}
        return found["asked"], found["answered"]

    def scan(self, *options, timeout=5000, times=1):
        """One datagram, or so many until there is an answer; what ike-scan prints about the answer,
        and the octets."""
        self.octets()
        done = subprocess.run(
            ["ip", "netns", "exec", self.lab.network.name("plain"), "ike-scan", "--nodns",
             f"--retry={times}", f"--timeout={timeout}", *options, network.SERVER],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        require(done.returncode == 0, f"ike-scan {' '.join(options)}: {done.stdout}")
        lines = [line for line in done.stdout.splitlines() if line.startswith(network.SERVER)]
        return lines, *self.octets()


@case("probing", "ike-scan: every probe of its behaviour check, and Aggressive Mode, which is off",
      guest=False)
def probing(lab):
    prober = Prober(lab)
    for options, wanted in ANSWERED:
        lines, asked, answered = prober.scan(*options)
        require(len(lines) == 1 and re.search(wanted, lines[0]), f"{options}: {lines}")
        require(0 < answered <= asked, f"{options}: {asked} octets asked, {answered} answered")
    for *options, counter in SILENT:
        silent(lab, prober, options, lambda counter=counter: lab.counters()[counter])
    group = ["--aggressive", "--idtype=11", "--id=staff", "--dhgroup=14", GROUP_SUITE]
    silent(lab, prober, group, lambda: lab.refusals("aggressive mode is not offered"))
    require(not lab.ipsec_sas(), "there are IPsec SAs")
    return f"{len(ANSWERED) + len(SILENT) + 1} probes"


def silent(lab, prober, options, count):
    """A probe that the server counts and does not answer."""
    before = count()
    lines, asked, answered = prober.scan(*options, timeout=200)
    eventually(lambda: count() > before, f"{options}: the server did not count it")
    require(not lines and asked and not answered, f"{options}: {answered} octets answered: {lines}")
    require(not prober.octets()[1], f"{options}: an answer came late")


@case("group-names", "Aggressive Mode on: ike-scan and psk-crack cannot tell which groups there are",
      guest=False)
def group_names(lab):
    rules = 'kernel: soft\nsecrets:\n  - peers: group:staff\n    psk: "sesame"\naggressive: true\n'
    (lab.server.folder / "ike-daemon.yaml").write_text(rules)
    require("reloaded" in lab.server.text("ikectl", "reload"), "the server refused its configuration")
    prober = Prober(lab)
    answers, cracked = set(), {}
    words = lab.folder / "words"
    words.write_text("password\nsesame\nsecret\n")
    for group in ["staff", "crowd"]:
        hashes = lab.folder / group
        lines, asked, answered = prober.scan(
            "--aggressive", "--idtype=11", f"--id={group}", "--dhgroup=14", GROUP_SUITE,
            f"--pskcrack={hashes}", timeout=500, times=2)
        require(len(lines) == 1 and "Aggressive Mode Handshake returned" in lines[0], f"{lines}")
        answers.add((re.sub(r"CKY-R=\w+", "", lines[0]), asked, answered))
        cracked[group] = subprocess.run(["psk-crack", "-d", words, hashes], capture_output=True,
                                        text=True, check=False).stdout
    require(len(answers) == 1, f"the answers differ: {answers}")
    # What the page about Aggressive Mode warns of: whoever asks may guess. Of a name that is not
    # there, nothing is found.
    require('key "sesame" matches' in cracked["staff"], cracked["staff"])
    require("matches" not in cracked["crowd"], cracked["crowd"])
    (_, asked, answered), = answers
    # The answer is longer than a question, and waits for the second one.
    require(0 < answered <= asked, f"{asked} octets asked, {answered} answered")
    return f"{asked} octets asked, {answered} answered"
