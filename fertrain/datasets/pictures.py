"""Hashes of pixels: copies of a picture have the same hash, whatever the file name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from rmset.progress import Progress, silent

from ..errors import DatasetError
from .images import decode
from .sources import Bytes

_PART = 512


def pixel_hash(source: Bytes, name: str) -> str:
    """Hash of an image's gray pixels, in hexadecimal; "" where it cannot be read.

    Pixels, not bytes: the same picture saved twice is the same picture.
    """
    try:
        image = decode(source.get(name), name, gray=True)
    except (DatasetError, FileNotFoundError):
        return ""
    return hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()


def pixel_hashes(source: Bytes, names: Sequence[str], progress: Progress = silent, what: str = "") -> list[str]:
    """Return the hash of every image, in order; "" for those that cannot be read."""
    return list(_hashes(source, names, progress, what or "look at pictures"))


def _hashes(source: Bytes, names: Sequence[str], progress: Progress, what: str) -> Iterator[str]:
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(names), _PART):
            part = names[start : start + _PART]
            yield from pool.map(lambda name: pixel_hash(source, name), part)
            progress(what, start + len(part), len(names))
