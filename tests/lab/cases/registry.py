"""What a case is."""

CASES = []


class Case:
    """A function that takes the lab and raises CaseFailed; it may return a note for the report."""

    def __init__(self, name, about, guest, run):
        self.name = name
        self.about = about
        self.guest = guest
        self.run = run


def case(name, about, guest=True):
    """Registers the function below as a case. Without `guest` it needs no client machine."""
    def register(function):
        CASES.append(Case(name, about, guest, function))
        return function
    return register
