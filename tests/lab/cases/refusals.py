"""What must not work, and what the operator is told."""

from harness import network
from harness.errors import CaseFailed
from harness.lab import INSIDE, eventually, require

from .registry import case


@case("wrong-psk", "a wrong pre-shared key: refused, and the log says what to do")
def wrong_psk(lab):
    client = lab.client("p1")
    lab.configure(client, psk="not the secret")
    result = client.start_ipsec(give_up=8)
    require(result.code != 0, "the client got an IPsec SA with a wrong pre-shared key")
    line = lab.server_log_says("ike-daemon", r"(?i)pre-shared key")
    require(client.address in line, f"the log does not name the peer: {line}")
    require(not lab.ipsec_sas(), "there is an IPsec SA")
    client.vanish()
    # The right one works at once: nothing was blocked.
    lab.configure(client)
    client.connect()
    require(client.ping(INSIDE), "no echo after the right pre-shared key")
    return line.strip()


@case("wrong-password", "a wrong password: no session, no address, and the log names the user")
def wrong_password(lab):
    client = lab.client("p1")
    lab.configure(client, password="not the password")
    result = client.start_ipsec()
    require(result.code == 0, f"no IPsec SA:\n{result.output}")
    client.start_l2tp()
    line = lab.server_log_says("l2tpd", r"(?i)alice.*(password|credential)|password.*alice", 40)
    require("not the password" not in lab.server.log("l2tpd"), "the password is in the log")
    eventually(lambda: "CHAP authentication failed" in client.run("cat /var/log/pppd.log").output,
               "pppd was not told that authentication failed")
    require(not lab.sessions(), f"there is a session: {lab.sessions()}")
    try:
        client.wait_ppp(2)
    except CaseFailed:
        return line.strip()
    raise CaseFailed("the client got an address with a wrong password")


@case("cleartext-l2tp", "L2TP without IPsec gets no answer")
def cleartext_l2tp(lab):
    client = lab.client("p1")
    lab.configure(client)
    capture = client.begin(
        f"timeout 14 tcpdump -ni eth0 -c 1 src {network.SERVER} and udp port 1701 2>/dev/null")
    client.start_l2tp()
    output = capture.wait(60).output
    require(not output.strip(), f"the server answered: {output}")
    log = client.run("cat /var/log/xl2tpd.log").output
    require(f"Connecting to host {network.SERVER}" in log, f"xl2tpd did not try:\n{log}")
    require("Connection established" not in log, f"xl2tpd connected:\n{log}")
    require(not lab.tunnels(), f"the server has a tunnel: {lab.tunnels()}")
