"""Many sessions that stay: what each takes in memory, what all take when nobody sends anything, and what
another connection and a packet cost beside them."""

import time

from . import arena
from .results import say

FEW = 10
# More connections, to see what one costs.
MORE, TOGETHER = 1000, 50
# Echo requests a second through all tunnels in turn, and for how long; those of the first seconds do
# not count, as connecting leaves work to do.
ECHOES, ECHO_BEFORE, ECHO_SECONDS = 2000, 6, 12
# The same through a few of them, beside all the others.
BUSY_BEFORE = 2
# Then everything settles, and nothing happens for so long.
SETTLE, IDLE_SECONDS = 10, 120
FAREWELL = 3
# Longer than everything after it takes.
HOLD = 3600

KEEPALIVE = "hello: 60\necho: {interval: 60}\n"

# What is held to: at most so much.
KIB, IDLE_PERCENT, GROWTH = 24, 3, 1.3


def measure(bench, count):
    """Both servers; the results."""
    say(f"{FEW} sessions: what a packet and a connection cost")
    few = round_of(bench, "few", FEW)
    say(f"{count} sessions")
    many = round_of(bench, "many", count)
    growth = {what: many[what] / few[what] for what in ["busy_cpu_us", "echo_cpu_us", "connect_cpu_ms"]}
    return {"count": count, "few": few, "many": many, "growth": growth}


def round_of(bench, name, count):
    """One server with so many sessions."""
    server = arena.Ours(bench.arena, bench.options.bin, bench.folder / name,
                        {"l2tpd.yaml": KEEPALIVE})
    try:
        fresh = server.resident()
        before = server.cpu()
        clients, said = bench.load("--clients", count, "--concurrency", 200, "--timeout", 120,
                                   "--hold", HOLD, "--echo", ECHOES, "--echo-for",
                                   ECHO_BEFORE + ECHO_SECONDS + 1)
        found = {"connected": said["connected"], "elapsed_s": said["elapsed_s"],
                 "first_connect_cpu_ms": (server.cpu() - before) * 1e3 / count}
        time.sleep(ECHO_BEFORE)
        with Window(server) as echoes:
            time.sleep(ECHO_SECONDS)
        time.sleep(2)
        found["kib_each"] = {daemon: (now - fresh[daemon]) / count
                             for daemon, now in server.resident().items()}
        say(f"{MORE} more connections beside {count} sessions")
        with Window(server) as connects:
            others, more = bench.load("--clients", MORE, "--concurrency", TOGETHER, "--from",
                                      arena.OTHERS)
        others.wait()
        say(f"echoes of {FEW} busy clients beside {count} sessions")
        busy, _ = bench.load("--clients", FEW, "--concurrency", FEW, "--from", arena.OTHERS,
                             "--hold", HOLD, "--echo", ECHOES, "--echo-for",
                             BUSY_BEFORE + ECHO_SECONDS + 1)
        time.sleep(BUSY_BEFORE)
        with Window(server) as packets:
            time.sleep(ECHO_SECONDS)
        busy.terminate()
        sent = bench.said(busy)["echoes"]["sent"] / (BUSY_BEFORE + ECHO_SECONDS + 1)
        busy.wait()
        time.sleep(SETTLE)
        idle = {}
        if count > FEW:
            say(f"{IDLE_SECONDS} s of keepalives only")
            asked = questions(server)
            with Window(server) as silence:
                time.sleep(IDLE_SECONDS)
            idle = silence.rate()
            found["idle_cpu_percent"] = {daemon: 100 * part for daemon, part in idle.items()}
            found["idle_messages"] = {what: now - asked[what]
                                      for what, now in questions(server).items()}
            found["held"] = held(server)
        rest = sum(idle.values())
        found["busy_cpu_us"] = (packets.spent() - rest * packets.seconds) * 1e6 / (sent * packets.seconds)
        found["connect_cpu_ms"] = (connects.spent() - rest * connects.seconds) * 1e3 / more["connected"]
        say(f"{count} good-byes")
        with Window(server) as farewell:
            clients.terminate()
            end = bench.said(clients)
            clients.wait()
            time.sleep(FAREWELL)
        found["farewell_cpu_ms"] = farewell.spent() * 1e3 / count
        found["lost"] = end["lost"]
        sent = end["echoes"]["sent"] / (ECHO_BEFORE + ECHO_SECONDS + 1)
        found["echoes_per_second"] = sent
        found["echo_cpu_us"] = (echoes.spent() - rest * echoes.seconds) * 1e6 / (sent * echoes.seconds)
        return found
    finally:
        server.kill()


class Window:
    """CPU time of each daemon meanwhile."""

    def __init__(self, server):
        self.server = server
        self.seconds = 0
        self.each = {}

    def __enter__(self):
        self.begun, self.before = time.monotonic(), self.server.cpu_each()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.begun
        self.each = {daemon: now - self.before[daemon]
                     for daemon, now in self.server.cpu_each().items()}

    def spent(self):
        """Seconds of all daemons."""
        return sum(self.each.values())

    def rate(self):
        """Processors in use, by daemon."""
        return {daemon: spent / self.seconds for daemon, spent in self.each.items()}


def questions(server):
    """What the daemons have sent so far to see whether clients are there."""
    l2tpd = server.daemons.control("l2tpctl", "show", "stats")
    ike = server.daemons.control("ikectl", "show", "stats")
    return {"HELLO": l2tpd["l2tp.hello_out"], "LCP echo": l2tpd["ppp.echo_requests_out"],
            "R-U-THERE and its like": ike["core"]["datagrams_out"]}


def held(server):
    """Sessions there are."""
    return server.daemons.control("l2tpctl", "show", "stats")["now.sessions"]


def targets(found):
    """What was held to, and what came of it: words, measured, and the limit."""
    many = found["many"]
    yield "sessions held", many["held"], found["count"], many["held"] >= found["count"]
    limits = [("KiB of memory each, all daemons", sum(many["kib_each"].values()), KIB),
              ("% of a core when idle, all daemons", sum(many["idle_cpu_percent"].values()),
               IDLE_PERCENT),
              (f"times the cost of a packet of {FEW} busy clients beside {FEW}",
               found["growth"]["busy_cpu_us"], GROWTH),
              (f"times the cost of a packet beside {FEW}, all of them busy",
               found["growth"]["echo_cpu_us"], GROWTH),
              (f"times the cost of a connection beside {FEW}", found["growth"]["connect_cpu_ms"],
               GROWTH)]
    for what, measured, limit in limits:
        yield what, measured, limit, measured <= limit


def lines(found):
    """The results in words."""
    few, many, count = found["few"], found["many"], found["count"]
    parts = lambda values: ", ".join(f"{name} {value:.2f}" for name, value in values.items())
    for what, measured, limit, met in targets(found):
        yield f"{count} sessions: {measured:.5g} {what} (target {limit}: {'met' if met else 'missed'})"
    yield f"memory, KiB each: {parts(many['kib_each'])}"
    yield f"idle, % of a core: {parts(many['idle_cpu_percent'])}"
    asked = ", ".join(f"{number} {what}" for what, number in many["idle_messages"].items())
    yield f"keepalives in {IDLE_SECONDS} s: {asked}"
    for what, name, unit in [(f"an echo and its reply, {FEW} busy clients", "busy_cpu_us", "us"),
                             ("an echo and its reply, all busy", "echo_cpu_us", "us"),
                             ("another connection", "connect_cpu_ms", "ms"),
                             ("a good-bye", "farewell_cpu_ms", "ms")]:
        yield (f"{what}: {few[name]:.2f} {unit} beside {FEW} sessions, {many[name]:.2f} {unit} beside "
               f"{count}")
