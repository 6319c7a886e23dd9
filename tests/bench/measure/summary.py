"""Rows of the table, what they mean as ratios within one run, and README's part of it."""

from . import limits, report

CBC, GCM = "tanuki AES-CBC SHA1", "tanuki AES-GCM-16"
SOFTETHER, WIREGUARD, IO = "SoftEther AES-CBC SHA1", "wireguard-go ChaCha20", "I/O limit (no VPN)"
CRYPTO = {CBC: "crypto limit AES-CBC SHA1", GCM: "crypto limit AES-GCM-16"}
DOWN, UP, SMALL = ("download, Mbit per CPU second", "upload, Mbit per CPU second",
                   "64-byte packets in, thousand per CPU second")
# What is aimed at: times SoftEther, and percent of the lower of the two limits.
TIMES_SOFTETHER = {CBC: 5, GCM: 8, SMALL: 5}
PERCENT_OF_LIMIT = 50
SUITES = {CBC: "aes128-cbc-sha1", GCM: "aes128-gcm16"}
BEGIN, END = "<!-- tests/bench/results/bench.md -->", "<!-- end -->"


def rows(results, memory, openssl):
    """(Name, values by column) of everything measured."""
    found = [(name, {what: report.summary(values) for what, values in figures.items()})
             for name, figures in results.items()]

    def rates(seal, opened):
        def megabits(rate):
            return report.summary([rate * 8 / 1e6])
        return {DOWN: megabits(seal), UP: megabits(opened), SMALL: None}
    for name, suite in SUITES.items():
        found.append((CRYPTO[name], rates(memory[suite]["seal"], memory[suite]["open"])))
    if {"aes-128-cbc", "aes-128-cbc decrypt", "hmac(sha1)", "aes-128-gcm"} <= openssl.keys():
        mac = openssl["hmac(sha1)"]
        found.append(("openssl speed AES-CBC, HMAC-SHA1",
                      rates(limits.both(openssl["aes-128-cbc"], mac),
                            limits.both(openssl["aes-128-cbc decrypt"], mac))))
        found.append(("openssl speed AES-GCM", rates(openssl["aes-128-gcm"], openssl["aes-128-gcm"])))
    return found


def median(table, name, column):
    """A figure, or none."""
    value = table.get(name, {}).get(column)
    return value["median"] if value else None


def ratios(table):
    """What the figures mean, line by line."""
    for name in (CBC, GCM):
        for what, column in [("download", DOWN), ("upload", UP)]:
            mine, peer, io, crypto = (median(table, row, column)
                                      for row in (name, SOFTETHER, IO, CRYPTO[name]))
            if not mine:
                continue
            line = f"{name.removeprefix('tanuki ')}, {what}: "
            if peer:
                line += f"{times(mine / peer, TIMES_SOFTETHER[name])}, "
            if io:
                # Both are work of one processor on the same bytes, so it cannot do better than this.
                line += (f"{against(100 * mine / min(crypto, io), '% of the lower limit', PERCENT_OF_LIMIT)}, "
                         f"{100 * mine / limits.both(crypto, io):.0f} % of both limits together")
            yield line
    mine, peer = median(table, CBC, SMALL), median(table, SOFTETHER, SMALL)
    if mine and peer:
        yield f"64-byte packets: {times(mine / peer, TIMES_SOFTETHER[SMALL])}"


def times(value, target):
    """A ratio to SoftEther."""
    return against(value, "times SoftEther", target)


def against(value, unit, target):
    """A figure and what is aimed at."""
    return f"{value:.1f} {unit} (target {target}, {'met' if value >= target else 'missed'})"


def markdown(table, host, options):
    """README's table: Mbit and thousands of packets per CPU second, and times SoftEther's."""
    lines = ["| one client, per CPU second of the server | download | upload | 64-byte packets in |",
             "|---|---|---|---|"]
    for name in (CBC, GCM, SOFTETHER, WIREGUARD, IO):
        cells = []
        for column, unit, scale in [(DOWN, "Gbit", 1000), (UP, "Gbit", 1000), (SMALL, "k", 1)]:
            value, peer = median(table, name, column), median(table, SOFTETHER, column)
            if not value:
                cells.append("-")
                continue
            text = f"{value / scale:.1f} {unit}" if scale > 1 else f"{value:.0f} {unit}"
            if peer and name in (CBC, GCM):
                text += f" ({value / peer:.1f}x SoftEther)"
            cells.append(text)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", f"Rounds: {options.rounds} (medians), {options.megabytes} MiB each way, {host['date']}, "
              f"{host['cpus']} x {host['cpu']}, {host['system'].split('-x86_64')[0]}, SoftEther "
              f"{host['softether-vpnserver'].split('+')[0]}, wireguard-go {host['wireguard-go'].split('-')[0]}."]
    return "\n".join(lines) + "\n"


def into_readme(readme, table):
    """Puts the table between its marks."""
    text = readme.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        return
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    readme.write_text(f"{before}{BEGIN}\n{table}{END}{after}", encoding="utf-8")
