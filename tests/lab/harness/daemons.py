"""softkernel, ike-daemon and l2tpd in a network namespace, as a server or as a client."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time

from .errors import CaseFailed, LabError

# In starting order; they end in the opposite one.
NAMES = ["softkernel", "ike-daemon", "l2tpd"]
# What a daemon reads instead of its own file where it is there.
DROP_INS = {"ike-daemon": "racoon.conf", "l2tpd": "mpd.conf"}


class Daemons:
    """One set of the three, with its own configuration and runtime folder."""

    def __init__(self, programs, namespace, folder, configuration):
        """`configuration` maps file names to texts; each daemon reads `<name>.yaml`, or what is in
        `DROP_INS`."""
        self.programs = pathlib.Path(programs)
        self.namespace = namespace
        self.folder = pathlib.Path(folder)
        self.runtime = self.folder / "run"
        self.processes = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in configuration.items():
            path = self.folder / name
            path.write_text(text)
            path.chmod(0o600)

    def log_path(self, name):
        """Where a daemon's standard error goes."""
        return self.folder / f"{name}.log"

    def log(self, name):
        """What a daemon has logged."""
        path = self.log_path(name)
        return path.read_text(errors="replace") if path.exists() else ""

    def start_one(self, name):
        """Starts one daemon and waits for its control socket to answer."""
        drop_in = self.folder / DROP_INS.get(name, f"{name}.yaml")
        config = drop_in if drop_in.exists() else self.folder / f"{name}.yaml"
        argv = [str(self.programs / name), "--config", str(config),
                "--runtime-dir", str(self.runtime)]
        if self.namespace:
            argv = ["ip", "netns", "exec", self.namespace, *argv]
        with open(self.log_path(name), "ab") as log:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       start_new_session=True)
        self.processes[name] = process
        control = self.runtime / name / "control.sock"
        deadline = time.monotonic() + 15
        while not answers(control):
            if process.poll() is not None:
                raise LabError(f"{name} ended with {process.returncode} at its start:\n"
                               f"{self.log(name)[-3000:]}")
            if time.monotonic() > deadline:
                raise LabError(f"{name} does not answer on {control}:\n{self.log(name)[-3000:]}")
            time.sleep(0.02)

    def start(self):
        """Starts all three."""
        for name in NAMES:
            self.start_one(name)

    def signal(self, name, number):
        """Sends a signal and waits for the end of the process; returns its exit code."""
        process = self.processes[name]
        if process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise CaseFailed(f"{name} did not end within 15 s of signal {number}") from None

    def restart(self, name):
        """Hands over to a new process: SIGUSR2, then a start."""
        code = self.signal(name, signal.SIGUSR2)
        if code != 0:
            raise CaseFailed(f"{name} ended its hand-over with {code}")
        self.start_one(name)

    def stop(self):
        """Ends all of them cleanly; CaseFailed when one had died or does not end well."""
        complaints = []
        for name in reversed(NAMES):
            process = self.processes.pop(name, None)
            if process is None:
                continue
            if process.poll() is not None:
                complaints.append(f"{name} had ended with {process.returncode}")
                continue
            process.terminate()
            try:
                if process.wait(15) != 0:
                    complaints.append(f"{name} ended with {process.returncode}")
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                complaints.append(f"{name} did not end within 15 s of SIGTERM")
        if complaints:
            raise CaseFailed("; ".join(complaints))

    def kill(self):
        """Ends whatever still runs, no questions asked."""
        for process in reversed(self.processes.values()):
            if process.poll() is None:
                process.kill()
                process.wait()
        self.processes.clear()

    def control(self, tool, *arguments):
        """Runs ikectl or l2tpctl with --json; returns the parsed answer."""
        argv = [str(self.programs / tool), "--runtime-dir", str(self.runtime), "--json", *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
        if done.returncode != 0:
            raise CaseFailed(f"{tool} {' '.join(arguments)}: exit code {done.returncode}: "
                             f"{done.stderr.strip() or done.stdout.strip()}")
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise CaseFailed(f"{tool} {' '.join(arguments)} --json printed no JSON: "
                             f"{done.stdout[:300]}") from None

    def text(self, tool, *arguments):
        """The same for people to read."""
        argv = [str(self.programs / tool), "--runtime-dir", str(self.runtime), *arguments]
        return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, timeout=20).stdout


def answers(path):
    """True when something listens on a Unix stream socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return False
    return True
