"""Debian's packages without an installation: a private apt."""

import os
import subprocess
import sys

MIRROR = os.environ.get("LAB_DEBIAN_MIRROR", "http://deb.debian.org/debian")
SECURITY = os.environ.get("LAB_DEBIAN_SECURITY", "http://deb.debian.org/debian-security")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
BINARIES = [(MIRROR, "bookworm"), (MIRROR, "bookworm-updates"), (SECURITY, "bookworm-security")]
# Mirrors do not all have the sources of security updates.
SOURCES = [(MIRROR, "bookworm")]


def run(argv, **options):
    """Runs a program; its output is shown only when it fails."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    if done.returncode != 0:
        sys.stderr.write(done.stdout)
        sys.exit(f"debian: {' '.join(map(str, argv))}: exit code {done.returncode}")
    return done.stdout


class Apt:
    """A private apt: its own lists, its own (empty) dpkg status, its own cache."""

    def __init__(self, folder, suites=BINARIES, kind="deb"):
        self.folder = folder
        self.archives = folder / "archives"
        (folder / "lists/partial").mkdir(parents=True, exist_ok=True)
        (self.archives / "partial").mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text("".join(
            f"{kind} [arch=amd64 signed-by={KEYRING}] {uri} {suite} main\n" for uri, suite in suites))
        # Proxies and the like are the host's; the rest is ours.
        inherited = run(["apt-config", "dump", "Acquire::http", "Acquire::https",
                         "Acquire::Check-Date", "Acquire::Check-Valid-Until"])
        (folder / "apt.conf").write_text(inherited + f"""
Dir::State "{folder}";
Dir::State::Lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}";
Dir::Cache::archives "{self.archives}";
Dir::Etc::SourceList "{folder}/sources.list";
Dir::Etc::SourceParts "-";
Dir::Etc::Parts "-";
Dir::Etc::PreferencesParts "-";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "root";
APT::Get::Assume-Yes "true";
Acquire::Languages "none";
Acquire::Retries "3";
""")
        self.environment = {**os.environ, "APT_CONFIG": str(folder / "apt.conf"), "LC_ALL": "C"}

    def __call__(self, *arguments, cwd=None):
        return run(list(arguments), env=self.environment, cwd=cwd)

    def resolve(self, packages):
        """File names of the packages and all they depend on."""
        empty = self.folder / "empty"
        (empty / "partial").mkdir(parents=True, exist_ok=True)
        # apt leaves out what its cache already holds.
        listing = self("apt-get", "install", "--print-uris", "-qq",
                       "-o", f"Dir::Cache::archives={empty}", *packages)
        return [line.split(" ")[1] for line in listing.splitlines() if line.startswith("'")]

    def file_name(self, package):
        """The name `apt-get download` gives the file of one package."""
        listing = self("apt-get", "download", "--print-uris", "-qq", package)
        return listing.split(" ")[1]

    def source(self, package, target):
        """Unpacks the newest source of a package, with Debian's changes, into a new folder."""
        self("apt-get", "source", "--download-only", "-qq", package, cwd=self.archives)
        newest = max(self.archives.glob(f"{package}_*.dsc"), key=lambda path: path.stat().st_mtime)
        self("dpkg-source", "-x", str(newest), str(target))
        return newest.stem

    def fetch(self, packages):
        self("apt-get", "install", "--download-only", "-qq", *packages)
