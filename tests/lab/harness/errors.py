"""What can go wrong in the lab."""


class LabError(Exception):
    """The lab itself does not work: no guest, no namespace, a daemon that does not start."""


class CaseFailed(Exception):
    """A case observed something else than it demands."""
