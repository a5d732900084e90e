"""How much a host may send, and how slowly: bytes for each promised second, bytes of a page, bytes a minute.

A host that sends without end would fill the disk or hold a worker forever. All bounds are far above what real videos
need: 8K streams take some 10 MB a second.
"""

from __future__ import annotations

import time
from typing import Any

from yt_dlp.networking.exceptions import IncompleteRead

from rmset.errors import FetchError
from rmset.stages.fetch.causes import Cause

MOST_PAGE = 64 << 20
"""bytes of a page, feed or playlist, unpacked; YouTube's are 2 MB"""
MOST_REQUESTS = 2000
"""requests of one visit before its download begins"""
_BASE, _PER_SECOND = 64 << 20, 32 << 20
_MOST_UNKNOWN = 128 << 30
_WINDOW_S, _SLOWEST = 120.0, 128
"""s, and bytes per second below which a response is given up as silent"""


def most_bytes(seconds: float | None) -> int:
    """The most bytes that a video of so many seconds may have; None where its length is not known.

    >>> most_bytes(10) // 1_000_000, most_bytes(None) // 1_000_000_000
    (402, 137)
    """
    return _MOST_UNKNOWN if not seconds or seconds < 0 else _BASE + int(_PER_SECOND * seconds)


def check_bytes(size: int, seconds: float | None) -> None:
    """Refuse a file that is far too large for its length.

    Raises:
        FetchError: it is.
    """
    if size > (most := most_bytes(seconds)):
        length = f"a video of {seconds:.1f} s" if seconds else "a video of unknown length"
        raise FetchError(f"expected at most {most:,} bytes for {length}, found {size:,}", Cause.BROKEN)


class Steady:
    """A response's stream that gives what has come, and gives up where almost nothing comes.

    A host that sends one byte before each timeout would never be silent for long enough to be given up.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._since, self._bytes, self._all = time.monotonic(), 0, 0

    def read(self, amt: int | None = None, **options: Any) -> bytes:
        """What has come, up to `amt` bytes; nothing at the end.

        Raises:
            IncompleteRead: the host promised more.
            TimeoutError: less than 128 bytes a second over two minutes.
        """
        if amt is None or not hasattr(self._raw, "read1"):
            return bytes(self._raw.read(amt, **options))
        data = bytes(self._raw.read1(amt, **options) or b"")
        self._bytes += len(data)
        self._all += len(data)
        if not data and amt and (missing := getattr(self._raw, "length_remaining", None)):
            # What urllib3 itself raises, though not of `read1`.
            raise IncompleteRead(partial=self._all, expected=missing)
        now = time.monotonic()
        if now - self._since > _WINDOW_S:
            if self._bytes < _SLOWEST * (now - self._since) and data:
                raise TimeoutError(f"read timed out: {self._bytes:,} bytes in {now - self._since:.0f} s")
            self._since, self._bytes = now, 0
        return data

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
