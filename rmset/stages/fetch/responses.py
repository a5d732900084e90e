"""Bounds of responses: size of pages, and least speed of downloads."""

from __future__ import annotations

import time
from typing import Any

from rmset.errors import FetchError
from rmset.stages.fetch.bounds import MOST_PAGE
from rmset.stages.fetch.causes import Cause

_WINDOW_S, _SLOWEST = 120.0, 128
"""interval, s, and least bytes per second; slower responses are aborted"""


class Steady:
    """A response's stream that aborts when it is too slow.

    Timeouts alone do not stop a host that sends one byte before each timeout.
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
        """Delegate everything else to the stream."""
        return getattr(self._raw, name)


def bound_page(response: Any) -> None:
    """Limit a response's `read()` without a size to `MOST_PAGE` uncompressed bytes."""
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
