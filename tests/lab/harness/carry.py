"""Carries programs of this host to the client machine."""

import pathlib
import subprocess

from .errors import LabError

PORT = 7001
# Gives each that connects the file named in its first line.
SENDER = """
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listens", flush=True)
while True:
    peer, _ = listener.accept()
    with peer, peer.makefile("rb") as lines, open(lines.readline().decode().strip(), "rb") as file:
        peer.sendfile(file)
"""


class Carrier:
    """Sends from a namespace of this host; `with` ends it."""

    def __init__(self, namespace, address, folder):
        self.address = address
        self.folder = pathlib.Path(folder)
        self.sender = subprocess.Popen(
            ["ip", "netns", "exec", namespace, "python3", "-c", SENDER, address, str(PORT)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if self.sender.stdout.readline() != "listens\n":
            raise LabError("the programs' sender does not listen")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sender.kill()
        self.sender.wait()

    def carry(self, run, path, target):
        """Carries one without its debugging information; `run` runs a script over there."""
        stripped = self.folder / path.name
        subprocess.run(["strip", "--strip-debug", "-o", stripped, path], check=True)
        run(f"""exec 3<>/dev/tcp/{self.address}/{PORT}
            echo {stripped} >&3; cat <&3 >{target} && chmod 755 {target}""", 120)
