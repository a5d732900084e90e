"""Limits on what a host may send: bytes per announced second, bytes of a page, requests per visit.

A host that sends without end would fill the disk. All limits are far above real videos: 8K streams need about 10 MB per
second.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from rmset.errors import FetchError
from rmset.stages.fetch.causes import Cause

MOST_PAGE = 64 << 20
"""bytes of a page, feed or playlist, unpacked; YouTube's are 2 MB"""
MOST_REQUESTS = 2000
"""requests of one visit before its download begins"""
_BASE, _PER_SECOND = 64 << 20, 32 << 20
_MOST_UNKNOWN = 16 << 30
_RESERVE, _RESERVED_SHARE = 1 << 30, 0.02


def most_bytes(seconds: float | None, limit: int | None = None) -> int:
    """Return the most bytes of a video.

    Args:
        seconds: length of the video; None if unknown.
        limit: the user's limit for every video; None if there is none.

    >>> most_bytes(10) // 1_000_000, most_bytes(None) // 1_000_000_000, most_bytes(10, 1000)
    (402, 17, 1000)
    """
    usual = _MOST_UNKNOWN if not seconds or seconds < 0 else _BASE + int(_PER_SECOND * seconds)
    return usual if limit is None else limit


def check_bytes(size: int, seconds: float | None, limit: int | None = None) -> None:
    """Refuse a file that is far too large for its length, or larger than the user's limit.

    Raises:
        FetchError: the file is too large.
    """
    if size > (most := most_bytes(seconds, limit)):
        length = f"a video of {seconds:.1f} s" if seconds else "a video of unknown length"
        more = "" if limit is None and seconds else "; --max-size allows more"
        raise FetchError(f"expected at most {most:,} bytes for {length}, found {size:,}{more}", Cause.BROKEN)


def free_bytes(folder: Path) -> int:
    """Return what a download may take: the free space without a reserve of 1 GiB, or of a fiftieth of a small disk."""
    usage = shutil.disk_usage(folder)
    return usage.free - min(_RESERVE, int(_RESERVED_SHARE * usage.total))


def check_disk(folder: Path, needed: int = 0) -> None:
    """Refuse a download that would leave too little of the disk for other programs.

    Raises:
        FetchError: the download does not fit, or the reserve is in use already.
    """
    if needed > (free := free_bytes(folder)) or free < 0:
        found = f"the video takes {needed:,} bytes, the disk has" if needed else "the disk has, beside its reserve,"
        raise FetchError(f"no space left: {found} {max(0, free):,}", Cause.DISK)
