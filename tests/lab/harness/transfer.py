#!/usr/bin/python3
"""Moves bytes over TCP and proves with a hash that they arrived.

    transfer.py serve ADDRESS PORT           serves until killed
    transfer.py get ADDRESS PORT BYTES       downloads, compares the hash, prints the rate
    transfer.py put ADDRESS PORT BYTES       uploads, compares the hash, prints the rate
    transfer.py hash BYTES                   the hash that BYTES bytes have

The protocol is one line, `get BYTES` or `put BYTES`; then the bytes in that direction; after a `put`
the server answers with the SHA-256 in hex. The bytes are always the same ones: noise in blocks, each
beginning with its number, so that a lost, repeated or reordered piece changes the hash.
"""

import hashlib
import random
import socket
import struct
import sys
import threading
import time

BLOCK = 1 << 16
NOISE = random.Random(1701).randbytes(BLOCK - 8)


def blocks(size):
    """The bytes, in blocks."""
    number = 0
    while size > 0:
        block = (struct.pack(">Q", number) + NOISE)[:size]
        yield block
        size -= len(block)
        number += 1


def hash_of(size):
    """SHA-256 of the first `size` bytes, in hex."""
    digest = hashlib.sha256()
    for block in blocks(size):
        digest.update(block)
    return digest.hexdigest()


def receive(connection, size):
    """SHA-256 of the next `size` bytes; shorter input gives another hash."""
    digest = hashlib.sha256()
    while size > 0:
        data = connection.recv(min(size, 1 << 18))
        if not data:
            break
        digest.update(data)
        size -= len(data)
    return digest.hexdigest()


def read_line(connection):
    """One short line, byte by byte: what follows it is not ours."""
    line = b""
    while not line.endswith(b"\n") and len(line) < 100:
        byte = connection.recv(1)
        if not byte:
            break
        line += byte
    return line.decode("ascii", "replace").split()


def answer(connection):
    """Serves one connection."""
    with connection:
        connection.settimeout(120)
        try:
            verb, size = read_line(connection)
            if verb == "get":
                for block in blocks(int(size)):
                    connection.sendall(block)
            elif verb == "put":
                connection.sendall(receive(connection, int(size)).encode() + b"\n")
        except (OSError, ValueError):
            pass


def serve(address, port):
    """Serves every connection in a thread of its own."""
    with socket.create_server((address, port)) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()


def move(verb, address, port, size):
    """One transfer as the client; True when the hash is right."""
    want = hash_of(size)
    started = time.monotonic()
    with socket.create_connection((address, port), timeout=30) as connection:
        connection.settimeout(120)
        connection.sendall(f"{verb} {size}\n".encode())
        if verb == "get":
            got = receive(connection, size)
        else:
            for block in blocks(size):
                connection.sendall(block)
            got = " ".join(read_line(connection))
    seconds = time.monotonic() - started
    print(f"{verb} {size} bytes in {seconds:.1f} s, {size * 8 / seconds / 1e6:.0f} Mbit/s, "
          f"sha256 {got} {'as sent' if got == want else 'DIFFERS from ' + want}", flush=True)
    return got == want


def main():
    verb, *rest = sys.argv[1:] or ["help"]
    if verb == "serve" and len(rest) == 2:
        serve(rest[0], int(rest[1]))
    elif verb in ("get", "put") and len(rest) == 3:
        sys.exit(0 if move(verb, rest[0], int(rest[1]), int(rest[2])) else 1)
    elif verb == "hash" and len(rest) == 1:
        print(hash_of(int(rest[0])))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
