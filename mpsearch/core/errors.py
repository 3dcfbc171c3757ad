"""Errors meant for people: one line that says what was wrong, where, and what to do."""


class MpsearchError(Exception):
    """Base of every error this package raises on purpose; the command line exits with 2 on it."""


class BadInput(MpsearchError):
    """A file, value or option that cannot be used as given."""


class UnknownName(BadInput):
    """A plug-in, search space or model name that nothing answers to."""

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        super().__init__(f"unknown {kind} '{name}': choose one of {', '.join(sorted(known))}")


class Infeasible(MpsearchError):
    """A budget that no choice of schemes can meet. The message names what is reachable."""


class Unsupported(MpsearchError):
    """A layer, scheme or operation that a backend or runtime cannot carry out."""
