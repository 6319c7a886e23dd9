"""What pppd can want of PPP: ways to prove who it is, sizes, options left out, its kernel's L2TP."""

from harness.lab import INSIDE, eventually, require

from .registry import case

COMMON = """noauth noccp noipdefault nodefaultroute usepeerdns
name alice
password wonderland
debug
logfile /var/log/pppd.log
"""
ONLY = {
    "PAP": "refuse-chap refuse-mschap refuse-mschap-v2 refuse-eap",
    "CHAP-MD5": "refuse-pap refuse-mschap refuse-mschap-v2 refuse-eap",
    "MS-CHAPv2": "refuse-pap refuse-chap refuse-mschap refuse-eap",
}
# The server's own, as in l2tpd.yaml(5).
SERVER_MRU = 1400

# The only way to authenticate, pppd's other options, and the longest packet.
VARIANTS = [
    ("PAP", "mru 576 mtu 576 nopcomp noaccomp", 576),
    ("CHAP-MD5", "mru 1500 mtu 1500 nomagic novj", SERVER_MRU),
    # Not a word about a size means 1500 both ways (RFC 1661 6.1): pppd rejects ours, too.
    ("MS-CHAPv2", "default-mru default-asyncmap nopcomp noaccomp", 1500),
]


def dial(client, options):
    """Hangs up and dials anew with these options of pppd; not waiting for what becomes of it."""
    client.run(f"""
        pkill -TERM -x xl2tpd --ns $$ --nslist net
        for i in {{1..50}}; do pgrep -x 'xl2tpd|pppd' --ns $$ --nslist net >/dev/null || break; sleep 0.2; done
        rm -f /var/log/pppd.log
        {client.guest.write("/etc/ppp/managed.options", COMMON + options)}
    """, check=False)
    client.start_l2tp()


def session_of(lab, address):
    """The server's one session for an address."""
    found = [session for session in lab.sessions() if session["address"] == address]
    require(len(found) == 1, f"the server shows {found} for {address}")
    return found[0]


def fits(client, size):
    """An echo of `size` octets in one packet comes back."""
    return client.run(f"ping -n -q -c 2 -i 0.2 -W 5 -M do -s {size - 28} {INSIDE}", check=False).code == 0


@case("ppp-variants", "pppd with PAP, CHAP-MD5, MS-CHAPv2 only; MRU and MTU; kernel L2TP; a way that is off")
def ppp_variants(lab):
    client = lab.client("p1")
    lab.configure(client, flavour="libreswan")
    result = client.start_ipsec()
    require(result.code == 0, f"no IPsec SA:\n{result.output}")
    for method, options, size in VARIANTS:
        dial(client, f"{ONLY[method]}\n{options}\n")
        address = client.wait_ppp(mtu=None)
        session = session_of(lab, address)
        require(session["authentication"] == method,
                f"{session['authentication']} instead of {method}")
        got = int(client.run("cat /sys/class/net/ppp0/mtu").output)
        require(got == size, f"{options}: MTU {got} instead of {size}")
        require(fits(client, size), f"{options}: no echo of {size} octets")
    kernel_l2tp(lab, client)
    switched_off(lab, client)


def kernel_l2tp(lab, client):
    """xl2tpd with pppol2tp: the client's kernel does L2TP; the pty way needs no such module."""
    client.guest.run("modprobe --ignore-install l2tp_ppp")
    dial(client, "")
    address = client.wait_ppp()
    require("L2TP" in client.run("cat /proc/net/pppol2tp").output, "the client's kernel has no tunnel")
    session_of(lab, address)
    require(client.ping(INSIDE), "no echo by way of the client's kernel")
    client.disconnect()
    eventually(lambda: not lab.tunnels(), "the tunnel is still there after StopCCN")
    client.guest.run("rmmod l2tp_ppp")


def switched_off(lab, client):
    """What the server does not offer is refused, and its log names it."""
    path = lab.server.folder / "l2tpd.yaml"
    path.write_text(path.read_text() + "authentication: [mschapv2]\n")
    lab.server.control("l2tpctl", "reload")
    lab.configure(client, flavour="libreswan")
    result = client.start_ipsec()
    require(result.code == 0, f"no IPsec SA:\n{result.output}")
    dial(client, ONLY["PAP"] + "\n")
    lab.server_log_says("l2tpd", r"No common authentication method", 40)
    require(not lab.sessions(), f"there is a session: {lab.sessions()}")
