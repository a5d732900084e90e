"""How long work tells its caller how far it is, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called now and then with what is being done, how much of it is done, and of how much (0: unknown)."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Report `done` of `total` units of `what`."""


def silent(what: str, done: int, total: int) -> None:
    """Report to nobody."""
