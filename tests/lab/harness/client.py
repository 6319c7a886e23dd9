"""A client in a node of the guest: strongSwan or libreswan, xl2tpd and pppd."""

import pathlib
import re
import string
import time

from . import ipsec
from .errors import CaseFailed, LabError

CLIENTS = pathlib.Path(__file__).resolve().parents[1] / "clients"

# Where each configuration file goes in the node.
PLACES = {
    "strongswan.conf": "/etc/strongswan.conf",
    "swanctl.conf": "/etc/swanctl/swanctl.conf",
    "ipsec.conf": "/etc/ipsec.conf",
    "ipsec.secrets": "/etc/ipsec.secrets",
    "xl2tpd.conf": "/etc/xl2tpd/xl2tpd.conf",
    "pppd.options": "/etc/ppp/managed.options",
    "NetworkManager.conf": "/etc/NetworkManager/NetworkManager.conf",
    "wired.nmconnection": "/etc/NetworkManager/system-connections/wired.nmconnection",
    "vpn.nmconnection": "/etc/NetworkManager/system-connections/vpn.nmconnection",
}

# A node is a network namespace plus a mount namespace with /run, /etc and /var/log of its own:
# strongSwan's and xl2tpd's sockets and pid files have fixed paths.
NODE = """
set -e
mkdir -p $root/log
cp -a /etc $root/etc
mkfifo $root/started $root/go
cat >$root/setup <<'EOS'
set -e
echo $$$$ >$root/started
read -r < $root/go
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/xl2tpd /run/ppp
mount --bind $root/etc /etc
mount --bind $root/log /var/log
ip -batch - <<EOB
link set lo up
link set $interface name eth0
addr add $address dev eth0
link set eth0 up
route add default via $gateway
EOB
echo ready >$root/started
exec sleep infinity
EOS
unshare --net --mount --propagation private bash $root/setup >$root/log/setup 2>&1 </dev/null &
read -r pid <$root/started
echo $pid >$root/pid
ip link set $interface netns $pid
echo >$root/go
read -r state <$root/started
[ "$state" = ready ]
"""


class Client:
    """One client node. `flavour` is a folder in ../clients."""

    def __init__(self, guest, name, interface, address, gateway):
        self.guest = guest
        self.name = name
        self.address = address.partition("/")[0]
        self.wired = {"own": address, "gateway": gateway}
        script = string.Template(NODE).safe_substitute(
            name=name, interface=interface, address=address, gateway=gateway,
            root=f"/nodes/{name}")
        guest.run(script)
        self.flavour = None
        self.server = None

    def begin(self, script):
        """Starts a bash script in the node."""
        return self.guest.begin(
            f"exec nsenter -t $(cat /nodes/{self.name}/pid) --net --mount bash -s <<'END_OF_NODE'\n"
            f"{script}\nEND_OF_NODE\n")

    def run(self, script, timeout=60, check=True):
        """Runs a bash script in the node."""
        result = self.begin(script).wait(timeout)
        if check and result.code != 0:
            raise LabError(f"on client {self.name}, exit code {result.code}: {script.strip()}\n"
                           f"{result.output.rstrip()}")
        return result

    def configure(self, server, psk, user, password, flavour="chromeos", over=None, **more):
        """Writes the configuration files; those in the folder `over` replace the flavour's."""
        self.flavour = flavour
        self.server = server
        values = {"server": server, "psk": psk, "user": user, "password": password,
                  "ike_times": "", "child_times": "",
                  **self.wired, **more}
        folders = [CLIENTS / folder for folder in (flavour, over) if folder]
        files = {path.name: path for folder in folders for path in folder.iterdir()}
        script = "rm -f /etc/swanctl/swanctl.conf /etc/ipsec.conf /etc/ipsec.secrets\n"
        for _, path in sorted(files.items()):
            text = string.Template(path.read_text()).safe_substitute(values)
            script += self.guest.write(PLACES[path.name], text)
        script += "chmod -f 600 /etc/NetworkManager/system-connections/*; rm -f /var/log/*.log\n"
        self.run(script)

    def start_ipsec(self, timeout=60, give_up=30):
        """Starts the IPsec programs and establishes the transport mode SA. Returns the exit code and
        output of the tool that did."""
        return self.run(ipsec.START[self.flavour](give_up), timeout, check=False)

    def start_l2tp(self):
        """Starts xl2tpd, which dials at once and again every two seconds."""
        if self.flavour == "network-manager":
            return
        self.run("""
            rm -f /run/xl2tpd.pid
            xl2tpd -D -c /etc/xl2tpd/xl2tpd.conf >/var/log/xl2tpd.log 2>&1 </dev/null &
        """)

    def wait_ppp(self, timeout=60, mtu=1280):
        """Waits for ppp0 with an address; returns the address. Sets an MTU, as ChromeOS does, unless
        it is None."""
        resize = f"ip link set ppp0 mtu {mtu}" if mtu else ""
        output = self.run(f"""
            end=$((SECONDS + {timeout}))
            while [ $SECONDS -lt $end ]; do
                if [ -e /sys/class/net/ppp0 ] && [[ $(ip -4 -o addr show ppp0) == *peer* ]]; then
                    {resize}
                    ip -4 -o addr show ppp0
                    exit 0
                fi
                sleep 0.2
            done
            exit 1
        """, timeout + 30, check=False)
        if output.code != 0:
            raise CaseFailed(f"client {self.name} has no PPP link after {timeout} s")
        return re.search(r"inet ([0-9.]+)", output.output)[1]

    def connect(self, timeout=60):
        """The whole way to an address on ppp0; returns it and notes how long it took."""
        started = time.monotonic()
        result = self.start_ipsec(timeout)
        if result.code != 0:
            raise CaseFailed(f"client {self.name}: no IPsec SA:\n{result.output.rstrip()}")
        self.ike_seconds = time.monotonic() - started
        self.start_l2tp()
        address = self.wait_ppp(timeout)
        self.connect_seconds = time.monotonic() - started
        return address

    def disconnect(self):
        """Leaves as ChromeOS does: L2TP first, then IPsec with its Deletes."""
        self.run(f"""
            {ipsec.HANG_UP}
            {ipsec.LEAVE}
            exit 0
        """, check=False)
        self.vanish()

    def vanish(self):
        """Everything dies without a word to the server; the kernel forgets its SAs."""
        self.run(f"""
            for program in xl2tpd pppd; do pkill -KILL -x $program --ns $$ --nslist net; done
            {ipsec.VANISH}
            rm -rf /run/xl2tpd/* /run/xl2tpd.pid /run/lock/* /run/ppp*
            mkdir -p /run/ppp
            exit 0
        """, check=False)

    def ping(self, target, count=3, interval=0.2, timeout=60):
        """True when every ping was answered."""
        result = self.run(f"ping -n -q -c {count} -i {interval} -W 5 {target}", timeout, check=False)
        return result.code == 0 and " 0% packet loss" in result.output

    def esp_states(self):
        """The kernel's SAs, as `ip xfrm state` prints them."""
        return self.run("ip xfrm state").output

    def logs(self):
        """Everything the client's programs wrote."""
        return self.run("tail -n +1 /var/log/*.log 2>/dev/null; ip addr; ip route; ip -s xfrm state; ip xfrm policy",
                        check=False).output
