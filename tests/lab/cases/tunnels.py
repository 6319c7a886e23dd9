"""Clients without L2TP: a name, a password and an address by IKE itself, then tunnel mode. What iOS,
macOS and Android call IPsec or "Cisco IPsec" does this."""

from harness import network
from harness.lab import PSK, eventually, require
from harness.network import sh

from .certificates import SERVER_NAME, make, serve
from .registry import case

# An address of the server's that only tunnels reach.
BEHIND = "10.99.0.1"

ROUNDS = {
    "xauth-psk": 'local-1 { auth = "psk" $id }\nlocal-2 { auth = "xauth" xauth_id = "$user" }\n'
                 'remote-1 { auth = "psk" }',
    "hybrid-rsa": 'local-1 { auth = "xauth" xauth_id = "$user" }\n'
                  f'remote-1 {{ auth = "pubkey" id = "{SERVER_NAME}" }}',
}


def tunnel_rules(lab, networks=""):
    """The server's `mode_config`, and something behind it to reach."""
    sh(f"ip -n {lab.network.name('server')} addr replace {BEHIND}/32 dev lo")
    return (f"mode_config:\n  pool: 10.88.0.10-10.88.0.20\n  dns: {BEHIND}\n  domain: example.org\n"
            f"  banner: Welcome.\n  users: {lab.server.folder}/users.yaml\n{networks}")


def equip(lab, client, method, user="alice", password=None, aggressive="no", group="",
          networks="0.0.0.0/0"):
    """A client that gives a name and a password."""
    identity = f'id = "@#{group.encode().hex()}"' if group else ""
    lines = ROUNDS[method].replace("$user", user).replace("$id", identity).splitlines()
    rounds = "\n".join(line.replace("{", "{\n").replace("}", "\n}").replace('" ', '"\n')
                       for line in lines)
    lab.configure(client, over="cisco", user=user, password=password, rounds=rounds,
                  aggressive=aggressive, networks=networks)


def through(lab, client, method, user="alice", networks="0.0.0.0/0"):
    """A tunnel, an echo through it, and nothing left after the farewell."""
    result = client.start_ipsec()
    require(result.code == 0, f"client {client.name}: no tunnel:\n{result.output}")
    require(client.ping(BEHIND), f"no echo from {BEHIND}")
    sas = [sa for sa in lab.ike_sas() if sa["state"] == "established"]
    require([(sa["authentication"], sa["user"]) for sa in sas] == [(method, user)],
            f"the server's ISAKMP SAs: {sas}")
    pairs = lab.ipsec_sas()
    require([(pair["mode"], pair["traffic"]["local"]["network"]) for pair in pairs]
            == [("tunnel", networks)], f"the server's IPsec SAs: {pairs}")
    address = pairs[0]["traffic"]["peer"]["network"].removesuffix("/32")
    require(address == sas[0]["address"] and f"inet {address}/32" in client.run("ip addr").output,
            f"the client does not have {address}")
    client.run("swanctl --terminate --ike vpn --timeout 10")
    eventually(lambda: not lab.ipsec_sas() and not lab.ike_sas(), "SAs are left after Delete")
    policies = lab.server.control("ikectl", "show", "policies")
    require(not policies, f"policies are left: {policies}")
    client.vanish()
    return address


@case("xauth", "strongSwan by XAUTH with an address by Mode Config, without and behind NAT")
def xauth(lab):
    secret = f"secrets:\n  - psk: \"{PSK}\"\n"
    serve(lab, f"{secret}authentication:\n  methods: xauth-psk\n{tunnel_rules(lab)}")
    client = lab.client("p1")
    equip(lab, client, "xauth-psk")
    first = through(lab, client, "xauth-psk")
    client = lab.client("n1")
    equip(lab, client, "xauth-psk", user="bob")
    second = through(lab, client, "xauth-psk", user="bob")
    # A wrong password ends it, and the next one is welcome.
    equip(lab, client, "xauth-psk", password="not the password")
    result = client.start_ipsec(give_up=10)
    require(result.code != 0, "a tunnel with a wrong password")
    line = lab.server_log_says("ike-daemon", r"refused.*wrong password")
    require(network.NAT_ADDRESS in line, f"the log does not name the peer: {line}")
    eventually(lambda: not lab.ike_sas(), "the ISAKMP SA is still there")
    client.vanish()
    equip(lab, client, "xauth-psk")
    through(lab, client, "xauth-psk")
    return f"{first}, {second}"


@case("hybrid", "strongSwan by hybrid authentication: our certificate, its password; split networks")
def hybrid(lab):
    rules = make(lab.folder / "rsa", "rsa").replace("methods: [rsa]", "methods: [hybrid-rsa]")
    split = f"  split_include: [{BEHIND}/32]\n"
    serve(lab, f"identity: {SERVER_NAME}\n{rules}{tunnel_rules(lab, split)}")
    client = lab.client("p1")
    equip(lab, client, "hybrid-rsa", networks=f"{BEHIND}/32")
    authority = (lab.folder / "rsa/ca.pem").read_text()
    client.run("rm -rf /etc/swanctl/x509* /etc/swanctl/private\n"
               + client.guest.write("/etc/swanctl/x509ca/ca.pem", authority))
    return through(lab, client, "hybrid-rsa", networks=f"{BEHIND}/32")


@case("xauth-group", "strongSwan with a group name: Aggressive Mode, XAUTH, Mode Config")
def xauth_group(lab):
    secrets = f"secrets:\n  - peers: group:staff\n    psk: \"{PSK}\"\naggressive: true\n"
    serve(lab, f"{secrets}authentication:\n  methods: xauth-psk\n{tunnel_rules(lab)}")
    client = lab.client("n1")
    equip(lab, client, "xauth-psk", aggressive="yes", group="staff")
    return through(lab, client, "xauth-psk")
