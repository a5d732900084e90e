"""Responses within bounds: pages of a size, and no host that sends a byte now and then forever."""

from __future__ import annotations

import time
from typing import Any

from rmset.errors import FetchError
from rmset.stages.fetch.bounds import MOST_PAGE
from rmset.stages.fetch.causes import Cause

_WINDOW_S, _SLOWEST = 120.0, 128
"""s, and bytes per second below which a response is given up as silent"""


class Steady:
    """A response's stream that gives up where almost nothing comes.

    A host that sends one byte before each timeout would never be silent for long enough to be given up.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._since, self._bytes = time.monotonic(), 0

    def read(self, amt: int | None = None, **options: Any) -> bytes:
        """Return the next `amt` bytes, fewer at the end.

        Raises:
            TimeoutError: less than 128 bytes a second over two minutes.
        """
        if amt is None or not hasattr(self._raw, "read1"):
            return bytes(self._raw.read(amt, **options))
        parts: list[bytes] = []
        missing = amt
        while missing > 0 and (part := self._raw.read1(missing, **options)):
            parts.append(part)
            missing -= len(part)
            self._count(len(part))
        return b"".join(parts)

    def _count(self, more: int) -> None:
        self._bytes += more
        lasted = time.monotonic() - self._since
        if lasted > _WINDOW_S:
            if self._bytes < _SLOWEST * lasted:
                raise TimeoutError(f"read timed out: {self._bytes:,} bytes in {lasted:.0f} s")
            self._since, self._bytes = time.monotonic(), 0

    def __getattr__(self, name: str) -> Any:
        """Everything else is the stream's own."""
        return getattr(self._raw, name)


def bound_page(response: Any) -> None:
    """Make a response's `read()` without a size refuse more than `MOST_PAGE` bytes, as they are unpacked."""
    read = response.read

    def bounded(amt: int | None = None) -> bytes:
        if amt is not None:
            return bytes(read(amt))
        parts: list[bytes] = []
        size = 0
        while part := read(1 << 16):
            parts.append(part)
            size += len(part)
            if size > MOST_PAGE:
                raise FetchError(f"expected a page of at most {MOST_PAGE:,} bytes, found more", Cause.NO_VIDEO)
        return b"".join(parts)

    response.read = bounded
