"""Clients that prove who they are by a certificate; `scripts/make-certificates` made all of them."""

import pathlib
import subprocess

from harness import network
from harness.lab import INSIDE, eventually, require

from .connecting import check_farewell
from .registry import case

MAKE = pathlib.Path(__file__).resolve().parents[3] / "scripts/make-certificates"
SERVER_NAME = "vpn.example.org"


def make(folder, kind, *clients):
    """An authority, the server's certificate and the clients'; returns what the server has to know."""
    done = subprocess.run([str(MAKE), "-d", str(folder), "-k", kind, SERVER_NAME, *clients],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    require(done.returncode == 0, f"make-certificates: {done.stdout}")
    return done.stdout.partition("For ike-daemon.yaml:\n")[2]


def serve(lab, text):
    """The server with these rules in place of its secret."""
    (lab.server.folder / "ike-daemon.yaml").write_text(f"kernel: soft\nlog: {{level: debug}}\n{text}")
    done = lab.server.text("ikectl", "reload")
    require("reloaded" in done, f"the server refused its configuration: {done}")


def equip(lab, client, folder, name, remote=SERVER_NAME):
    """A client with the certificate `name` and the authority of `folder`."""
    lab.configure(client, over="certificates", local_id=name, remote_id=remote)
    places = {f"{name}.pem": "x509/client.pem", f"{name}.key": "private/client.pem",
              "ca.pem": "x509ca/ca.pem"}
    client.run("rm -rf /etc/swanctl/x509* /etc/swanctl/private\n" + "".join(
        client.guest.write(f"/etc/swanctl/{place}", (folder / file).read_text())
        for file, place in places.items()))


def online(lab, client, peer, method):
    """The whole way, from the certificate to an echo, and a farewell."""
    client.connect()
    require(client.ping(INSIDE), "no echo through the tunnel")
    sas = [sa for sa in lab.ike_sas() if sa["peer"].startswith(f"{peer}:")]
    require([(sa["authentication"], sa["peer_identity"]) for sa in sas]
            == [(method, "fqdn:ann.example.org")], f"the server's ISAKMP SAs: {sas}")
    client.disconnect()
    check_farewell(lab)


@case("certificates", "strongSwan with an RSA certificate, without and behind NAT; with ECDSA")
def certificates(lab):
    folder = lab.folder / "rsa"
    rules = make(folder, "rsa", "ann.example.org")
    serve(lab, f"identity: {SERVER_NAME}\n{rules}")
    for name, peer in [("p1", None), ("n1", network.NAT_ADDRESS)]:
        client = lab.client(name)
        equip(lab, client, folder, "ann.example.org")
        online(lab, client, peer or client.address, "rsa")
    folder = lab.folder / "ecdsa"
    # Who we say we are is left to the certificate.
    serve(lab, make(folder, "ecdsa", "ann.example.org"))
    client = lab.client("p1")
    equip(lab, client, folder, "ann.example.org", remote=f"O={SERVER_NAME}, CN={SERVER_NAME}")
    online(lab, client, client.address, "ecdsa256")


@case("wrong-certificate", "certificates of strangers and of others: refused, and the log says why")
def wrong_certificate(lab):
    ours, theirs = lab.folder / "ours", lab.folder / "theirs"
    rules = make(ours, "rsa", "ann.example.org", "bob.example.org")
    make(theirs, "rsa", "ann.example.org")
    serve(lab, f"identity: {SERVER_NAME}\n{rules}  peers: [ann.example.org]\n")
    client = lab.client("p1")
    # An authority of the same name made its certificate.
    equip(lab, client, theirs, "ann.example.org")
    client.run(client.guest.write("/etc/swanctl/x509ca/ours.pem", (ours / "ca.pem").read_text()))
    refused(lab, client, r"certificate refused.*ann\.example\.org does not hold")
    equip(lab, client, ours, "bob.example.org")
    refused(lab, client, r"certificate refused.*nobody who may come in.*bob\.example\.org")
    equip(lab, client, ours, "ann.example.org")
    online(lab, client, client.address, "rsa")


def refused(lab, client, pattern):
    """No SA, a line in the log, nothing left."""
    result = client.start_ipsec(give_up=8)
    require(result.code != 0, "the client got an IPsec SA")
    lab.server_log_says("ike-daemon", pattern)
    require(not lab.ipsec_sas(), "there is an IPsec SA")
    client.vanish()
    eventually(lambda: not lab.ike_sas(), "the ISAKMP SA is still there", 60)
