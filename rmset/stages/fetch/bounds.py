"""How much a host may send: bytes for each promised second, bytes of a page, requests of a visit.

A host that sends without end would fill the disk. All bounds are far above what real videos
need: 8K streams take some 10 MB a second.
"""

from __future__ import annotations

from rmset.errors import FetchError
from rmset.stages.fetch.causes import Cause

MOST_PAGE = 64 << 20
"""bytes of a page, feed or playlist, unpacked; YouTube's are 2 MB"""
MOST_REQUESTS = 2000
"""requests of one visit before its download begins"""
_BASE, _PER_SECOND = 64 << 20, 32 << 20
_MOST_UNKNOWN = 128 << 30


def most_bytes(seconds: float | None) -> int:
    """Return the most bytes that a video of so many seconds may have; None where its length is not known.

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
