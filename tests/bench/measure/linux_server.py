"""The usual L2TP/IPsec server of Linux: strongSwan, xl2tpd and pppd, with the kernel's ESP and L2TP."""

from . import arena

STRONGSWAN = """
charon {
  load = random nonce openssl gmp pem pkcs1 x509 pubkey kernel-netlink socket-default vici updown
  filelog { file { path = /run/log/charon.log } }
}
swanctl { load = random openssl pem pkcs1 x509 pubkey }
"""
# The suites that tanuki-load offers first, and our server takes.
SWANCTL = f"""
connections {{
  l2tp {{
    version = 1
    local_addrs = {arena.SERVER}
    proposals = aes256-sha256-modp2048, aes256-sha256-ecp256
    local {{ auth = psk }}
    remote {{ auth = psk }}
    children {{
      l2tp {{
        mode = transport
        local_ts = dynamic[udp/1701]
        remote_ts = dynamic[udp/1701]
        esp_proposals = aes128gcm16
      }}
    }}
  }}
}}
secrets {{ ike-any {{ secret = "{arena.PSK}" }} }}
"""
XL2TPD = f"""
[global]
listen-addr = {arena.SERVER}
[lns default]
ip range = 10.77.1.1-10.77.1.250
local ip = {arena.INSIDE}
refuse pap = yes
refuse chap = yes
require authentication = yes
length bit = yes
pppoptfile = /etc/ppp/options.xl2tpd
"""
PPPD = """
require-mschap-v2
noccp
mtu 1400
mru 1400
ms-dns 10.77.0.1
nodefaultroute
lcp-echo-interval 60
lcp-echo-failure 4
"""
FILES = {
    "/etc/strongswan.conf": STRONGSWAN,
    "/etc/swanctl/swanctl.conf": SWANCTL,
    "/etc/xl2tpd/xl2tpd.conf": XL2TPD,
    "/etc/ppp/options.xl2tpd": PPPD,
    "/etc/ppp/chap-secrets": f'"{arena.USER}" * "{arena.PASSWORD}" *\n',
}


def start(write):
    """A script that starts it; `write` makes a shell command that writes a file. pppd belongs to
    xl2tpd's part."""
    return "".join(write(path, text) for path, text in FILES.items()) + """
        part charon /usr/lib/ipsec/charon
        for i in {1..300}; do [ -S /run/charon.vici ] && break; sleep 0.1; done
        swanctl --load-all >/run/log/swanctl.log 2>&1 || { cat /run/log/swanctl.log; exit 1; }
        part xl2tpd xl2tpd -D -c /etc/xl2tpd/xl2tpd.conf
        for i in {1..100}; do [ -p /run/xl2tpd/l2tp-control ] && exit 0; sleep 0.1; done
        exit 1
    """
