"""The client machine: a qemu guest driven over a virtio serial port (see ../guest/agent)."""

import base64
import os
import pathlib
import shlex
import socket
import subprocess
import threading
import time

from .errors import LabError


class Result:
    """How a script in the guest ended."""

    def __init__(self, code, output):
        self.code = code
        self.output = output


class Job:
    """A script running in the guest."""

    def __init__(self, guest, script):
        self.guest = guest
        self.script = script
        self.done = threading.Event()
        self.result = None

    def wait(self, timeout):
        """Waits for the end; LabError when it takes longer than `timeout` seconds."""
        if not self.done.wait(timeout):
            raise LabError(f"the guest did not finish in {timeout} s: {self.script.strip()}")
        if self.result is None:
            raise LabError(f"the guest died during: {self.script.strip()}")
        return self.result


class Guest:
    """One booted client machine with network interfaces on the given taps."""

    def __init__(self, image, folder, taps, namespace, memory=512, cpus=2, counted=False):
        """`counted`: where the machine is emulated, its clock goes by the instructions that it executes, a
        nanosecond each, so that CPU time in it depends neither on this host's speed nor on its load."""
        self.image = pathlib.Path(image)
        self.folder = pathlib.Path(folder)
        self.taps = taps
        self.namespace = namespace
        self.memory = memory
        self.cpus = cpus
        self.counted = counted
        self.process = None
        self.port = None
        self.jobs = {}
        self.number = 0
        self.lock = threading.Lock()
        self.ready = threading.Event()

    def command(self):
        """qemu's argument vector."""
        accel = os.environ.get("LAB_ACCEL", "tcg")
        emulated = accel == "tcg"
        counted = emulated and self.counted
        if emulated:
            accel = f"tcg,thread={'single' if counted else 'multi'}"
        argv = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        argv += [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-M", "q35",
            "-accel", accel,
            "-cpu", "max" if emulated else "max,-arch-capabilities",
            *(["-icount", "shift=0,sleep=on"] if counted else []),
            "-smp", str(self.cpus), "-m", str(self.memory),
            "-kernel", str(self.image / "vmlinux"), "-initrd", str(self.image / "initrd"),
            "-append", "console=ttyS0 quiet panic=-1 apparmor=0 mitigations=off",
            "-serial", f"file:{self.folder}/console.log", "-monitor", "none",
            "-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=lab,path={self.folder}/agent.sock,server=on,wait=off",
            "-device", "virtserialport,chardev=lab,name=lab",
        ]
        for number, (tap, mac) in enumerate(self.taps):
            argv += ["-netdev", f"tap,id=n{number},ifname={tap},script=no,downscript=no",
                     "-device", f"virtio-net-pci,netdev=n{number},mac={mac}"]
        return argv

    def start(self):
        """Starts qemu; `wait_ready` waits for the boot."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "agent.sock"
        log = open(self.folder / "qemu.log", "wb")
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                        stderr=log, start_new_session=True)
        deadline = time.monotonic() + 10
        while True:
            port = socket.socket(socket.AF_UNIX)
            try:
                port.connect(str(path))
                break
            except OSError:
                port.close()
                if self.process.poll() is not None or time.monotonic() > deadline:
                    text = (self.folder / "qemu.log").read_text(errors="replace")
                    raise LabError(f"qemu did not start: {text.strip()}") from None
                time.sleep(0.05)
        self.port = port
        threading.Thread(target=self._read, daemon=True).start()

    def wait_ready(self, timeout=120):
        """Waits until the agent has reported."""
        deadline = time.monotonic() + timeout
        while not self.ready.wait(0.5):
            if self.process.poll() is not None:
                raise LabError(f"qemu ended during the boot, see {self.folder}/qemu.log")
            if time.monotonic() > deadline:
                raise LabError(f"the guest did not boot in {timeout} s, "
                               f"see {self.folder}/console.log")

    def _read(self):
        with self.port.makefile("rb") as lines:
            for line in lines:
                fields = line.decode("ascii", "replace").split()
                if fields == ["ready"]:
                    self.ready.set()
                elif len(fields) >= 2 and fields[0] in self.jobs:
                    job = self.jobs.pop(fields[0])
                    text = base64.b64decode(fields[2]) if len(fields) > 2 else b""
                    job.result = Result(int(fields[1]), text.decode(errors="replace"))
                    job.done.set()
        for job in list(self.jobs.values()):
            job.done.set()

    def begin(self, script):
        """Starts a bash script in the guest and returns at once."""
        with self.lock:
            self.number += 1
            name = str(self.number)
            job = Job(self, script)
            self.jobs[name] = job
            line = name + " " + base64.b64encode(script.encode()).decode() + "\n"
            self.port.sendall(line.encode())
        return job

    def run(self, script, timeout=60, check=True):
        """Runs a bash script in the guest; LabError on a non-zero exit code unless `check` is
        off."""
        result = self.begin(script).wait(timeout)
        if check and result.code != 0:
            raise LabError(f"in the guest, exit code {result.code}: {script.strip()}\n"
                           f"{result.output.rstrip()}")
        return result

    def write(self, path, text):
        """A shell command that writes a file."""
        encoded = base64.b64encode(text.encode()).decode()
        path = shlex.quote(path)
        return f"mkdir -p \"$(dirname {path})\" && base64 -d <<<{encoded} >{path}\n"

    def stop(self):
        """Ends qemu."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.port:
            self.port.close()
