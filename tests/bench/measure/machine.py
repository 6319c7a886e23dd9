"""What a benchmark ran on."""

import datetime
import os
import pathlib
import platform
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


def version(*command):
    """What a program says of itself."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def described():
    """Processor, system, compiler, commit, date, and how busy the machine is."""
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="ascii")
                  if line.startswith("model name")), "unknown")
    return {"cpu": model, "cpus": os.cpu_count(), "system": platform.platform(),
            "rustc": version("rustc", "--version"),
            "commit": version("git", "-C", str(HERE), "describe", "--always", "--dirty"),
            "load": [round(load, 1) for load in os.getloadavg()],
            "date": datetime.date.today().isoformat()}
