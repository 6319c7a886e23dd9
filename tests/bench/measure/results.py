"""How a benchmark tells what it does and what it found."""

import json
import statistics
import sys

from . import machine


def say(text):
    """One line of progress."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def spread(values, unit, digits=1):
    """Median (lowest-highest)."""
    middle, least, most = (f"{value:.{digits}f}"
                           for value in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({least}-{most}) {unit}"


def add(rows, figures):
    """Puts the figures of one round to those of the others."""
    for what, value in figures.items():
        rows.setdefault(what, []).append(value)


def write(output, name, lines, **everything):
    """Prints the lines, and writes them and everything else to two files in a folder."""
    text = "\n".join(lines) + "\n"
    output.mkdir(parents=True, exist_ok=True)
    (output / f"{name}.txt").write_text(text)
    (output / f"{name}.json").write_text(
        json.dumps({"machine": machine.described(), **everything}, indent=1) + "\n")
    print(text)
    say(f"results in {output}")
