"""strongSwan's load-tester plugin: an IKE initiator, and a responder, that we did not write. Debian's packages
leave it out, so it is built from Debian's source package, with nothing else than it needs."""

import os
import pathlib
import re
import shutil
import subprocess
import time

from harness.debian import Apt, SOURCES, run
from harness.lab import eventually
from harness.network import sh

from .servers import cpu_seconds

# All that a pre-shared key takes, and what the plugin's own certificates are read with.
FEATURES = """
    charon ikev1 load-tester kernel-netlink socket-default openssl nonce random pem pkcs1 x509 pubkey
""".split()
# In this order: of the two that could install SAs, the first one does. The plugin's does nothing.
PLUGINS = "random nonce openssl pem pkcs1 x509 pubkey load-tester kernel-netlink socket-default"
# SAs under way at a time.
INITIATORS = 10
CONFIGURATION = """
charon {{
  load = {plugins}
  reuse_ikesa = no
  install_routes = no
  syslog {{ identifier = load-tester }}
  filelog {{
    file {{
      path = {log}
      flush_line = yes
      default = 0
      ike = 1
    }}
  }}
  plugins {{
    load-tester {{
      enable = yes
      fake_kernel = yes
      version = 1
      mode = transport
      initiators = {initiators}
      iterations = {iterations}
      delay = 20
      initiator_id = c%d-r%d.strongswan.org
      initiator_match = %%any
      responder = {server}
      responder_id = {server}
      proposal = aes256-sha256-{group}
      esp = aes128gcm16
      initiator_auth = psk
      responder_auth = psk
      preshared_key = "{psk}"
      initiator_tsi = %dynamic[udp/1701]
      initiator_tsr = {server}/32[udp/1701]
      {addresses}
    }}
  }}
}}
"""


def build(cache):
    """Builds it unless it is there already; returns the folder that it is in."""
    place = pathlib.Path(cache).resolve() / "load-tester"
    done = place / "installed"
    recipe = " ".join(FEATURES)
    stamp = place / "stamp"
    if stamp.exists() and stamp.read_text().partition("\n")[0] == recipe:
        return done
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    apt = Apt(place / "apt", SOURCES, "deb-src")
    apt("apt-get", "update", "-qq")
    version = apt.source("strongswan", place / "source")
    source = place / "source"
    run(["./configure", f"--prefix={done}", f"--with-piddir={place}", "--disable-defaults",
         *(f"--enable-{feature}" for feature in FEATURES)], cwd=source)
    run(["make", f"-j{os.cpu_count()}"], cwd=source)
    run(["make", "install"], cwd=source)
    shutil.rmtree(source)
    stamp.write_text(f"{recipe}\n{version}\n")
    return done


def version(cache):
    """What was built."""
    return (pathlib.Path(cache) / "load-tester/stamp").read_text().splitlines()[1]


class Charon:
    """One running charon."""

    def __init__(self, installed, folder, namespace, **values):
        """`values` are what `CONFIGURATION` leaves open; no `namespace` is this one."""
        folder = pathlib.Path(folder)
        self.log = folder / "charon.log"
        configuration = folder / "strongswan.conf"
        configuration.write_text(CONFIGURATION.format(plugins=PLUGINS, log=self.log, **values))
        argv = ["ip", "netns", "exec", namespace] if namespace else []
        with open(folder / "charon.out", "wb") as out:
            self.process = subprocess.Popen(
                [*argv, str(installed / "libexec/ipsec/charon")], stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, env={**os.environ, "STRONGSWAN_CONF": str(configuration)})

    def kill(self):
        """Ends it without a word to anybody."""
        self.process.kill()
        self.process.wait()


class Responder(Charon):
    """The server: it installs no SAs, so that only its IKE counts."""

    def __init__(self, installed, folder, namespace, server, psk, group):
        super().__init__(installed, folder, namespace, initiators=0, iterations=0, server=server,
                         psk=psk, group=group, addresses="")
        eventually(lambda: sh("ss -lunH 'sport = 500'", namespace), "charon does not listen")

    def cpu(self):
        """Seconds of CPU time so far."""
        return cpu_seconds([self.process.pid])


class LoadTester(Charon):
    """One run of it: as many ISAKMP SAs as wanted, each with a pair of IPsec SAs and an address of its own."""

    def __init__(self, installed, folder, namespace, count, addresses, **values):
        """`addresses`: an interface of its own, and the network whose addresses it gets."""
        interface, network = addresses
        self.count = count
        super().__init__(installed, folder, namespace, initiators=INITIATORS,
                         iterations=-(-count // INITIATORS),
                         addresses=f"addrs {{ {interface} = {network} }}", **values)

    def wait(self, seconds):
        """Waits until all are there, or nothing has happened for so long; returns what it counted."""
        seen, since = None, time.monotonic()
        begun = since
        while True:
            found = self.counted()
            if found != seen:
                seen, since = found, time.monotonic()
            if found["ipsec_sas"] >= self.count or time.monotonic() - since > seconds:
                return {**found, "elapsed_s": since - begun}
            if self.process.poll() is not None:
                raise RuntimeError(f"the load-tester ended with {self.process.returncode}: "
                                   f"{self.log.with_suffix('.out').read_text()[-500:]}")
            time.sleep(0.2)

    def counted(self):
        """What its log says."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        counts = {
            "isakmp_sas": r"IKE_SA \S+ established between",
            "ipsec_sas": r"CHILD_SA \S+ established with",
            "repeated": r"sending retransmit \d",
            "failed": r"giving up after|failed|does not match|received \S+ error notify",
        }
        return {name: len(re.findall(pattern, text)) for name, pattern in counts.items()}

    def leave(self):
        """Ends it as it does by itself: with a Delete for each SA."""
        self.process.terminate()
        self.process.wait(60)
