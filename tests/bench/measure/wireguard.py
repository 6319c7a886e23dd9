"""wireguard-go (Debian's package) at both ends: another tunnel in user space, with other ciphers."""

import pathlib
import socket
import subprocess
import tempfile

from harness.errors import LabError
from harness.lab import eventually
from harness.network import OWN_CLIENT, SERVER, sh

PROGRAM = "wireguard-go"
PORT = 51820
INSIDE = "10.79.0.1"
# Its control sockets, by the names of the devices.
SOCKETS = pathlib.Path("/var/run/wireguard")
# Both namespaces share the folder of the sockets, so the devices have different names.
ENDS = [("server", "wgserver", SERVER, OWN_CLIENT, INSIDE), ("own", "wgclient", OWN_CLIENT, SERVER, "10.79.0.2")]


def key_pair():
    """A private and a public key of X25519, in hex."""
    with tempfile.NamedTemporaryFile(suffix=".der") as file:
        def openssl(*words):
            # The raw key is what ends either encoding (RFC 8410).
            done = subprocess.run(["openssl", *words, "-outform", "DER"], capture_output=True, check=True)
            return done.stdout
        private = openssl("genpkey", "-algorithm", "X25519")
        file.write(private)
        file.flush()
        public = openssl("pkey", "-inform", "DER", "-in", file.name, "-pubout")
    return private[-32:].hex(), public[-32:].hex()


class WireGuard:
    """A server and its client."""

    inside = INSIDE

    def __init__(self, lab):
        self.processes = []
        pairs = [key_pair() for _ in ENDS]
        for (short, device, _, peer, inside), (private, _), (_, theirs) in zip(ENDS, pairs, reversed(pairs)):
            namespace = lab.network.name(short)
            self.processes.append(subprocess.Popen(
                ["ip", "netns", "exec", namespace, PROGRAM, "-f", device],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            path = SOCKETS / f"{device}.sock"
            eventually(path.is_socket, f"{PROGRAM} does not open {path}")
            configure(path, f"private_key={private}\nlisten_port={PORT}\npublic_key={theirs}\n"
                            f"endpoint={peer}:{PORT}\nallowed_ip=10.79.0.0/24\n")
            sh(f"ip addr add {inside}/24 dev {device}; ip link set {device} up mtu 1400", namespace)

    def pids(self):
        """The server's end."""
        return [self.processes[0].pid]

    def stop(self):
        """Ends both."""
        for process in self.processes:
            process.terminate()
            process.wait()


def configure(path, text):
    """One `set` of the cross-platform userspace interface."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(f"set=1\n{text}\n".encode())
        answer = connection.recv(4096).decode()
    if "errno=0" not in answer:
        raise LabError(f"{PROGRAM}: {answer.strip()}")
