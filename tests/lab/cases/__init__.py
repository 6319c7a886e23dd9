"""The cases of the lab, in the order they run."""

from .registry import CASES
# They register themselves.
from . import native, probing  # noqa: F401
from . import connecting, linux, ppp, certificates, tunnels, ipv6, pfkey  # noqa: F401
from . import refusals, misbehaving, endurance  # noqa: F401

__all__ = ["CASES"]
