"""What the processor can do at most: ESP in memory, and what openssl says."""

import json
import subprocess

# Bytes that `openssl speed` works on at a time: a packet.
PACKET = 1408


def memory(tool):
    """ESP sealed and opened without devices, by suite: bytes per CPU second."""
    done = subprocess.run([tool, "memory"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def openssl():
    """Bytes per CPU second of openssl's ciphers, packet by packet; the names are its own."""
    found = {}
    for name, words in [("aes-128-cbc", ["-evp", "aes-128-cbc"]),
                        ("aes-128-cbc decrypt", ["-decrypt", "-evp", "aes-128-cbc"]),
                        ("hmac(sha1)", ["-hmac", "sha1"]),
                        ("aes-128-gcm", ["-aead", "-evp", "aes-128-gcm"])]:
        done = subprocess.run(["openssl", "speed", "-mr", "-seconds", "1", "-bytes", str(PACKET), *words],
                              capture_output=True, text=True, check=False)
        rates = [line.rsplit(":", 1)[1] for line in done.stdout.splitlines() if line.startswith("+F:")]
        if rates:
            found[name] = float(rates[0])
    return found


def exponentiations():
    """CPU milliseconds of openssl's Diffie-Hellman, by our names: a common secret from a peer's value."""
    found = {}
    for group, name in [("modp2048", "ffdh2048"), ("ecp256", "ecdhp256")]:
        done = subprocess.run(["openssl", "speed", "-mr", "-seconds", "1", name], capture_output=True,
                              text=True, check=False)
        # Ends with operations per second and seconds per operation, of which the latter is rounded.
        rates = [float(line.split(":")[3]) for line in done.stdout.splitlines() if line.startswith("+F")]
        if rates:
            found[group] = 1e3 / rates[0]
    return found


def both(*rates):
    """The rate of doing one thing after the other to every byte, on one processor."""
    return 1 / sum(1 / rate for rate in rates)
