"""The cases of the lab, in the order they run."""

from .registry import CASES
from . import native, connecting, certificates, tunnels, ipv6, refusals, endurance  # noqa: F401  (they register themselves)

__all__ = ["CASES"]
