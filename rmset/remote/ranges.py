"""Parts of a large object: footers and columns are read without the rest; much more brings the whole."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rmset.files import Reader
from rmset.remote.store import ObjectStore

SMALL = 32 << 20
"""an object up to this size is brought whole, bytes"""
_MOST_BYTES, _MOST_REQUESTS = 32 << 20, 64


class RangeReader:
    """Reader of a large object; see `rmset.files.Reader`.

    Args:
        store: the bucket.
        name: the object.
        size: its size, bytes.
        whole: brings the object and opens its copy.
    """

    def __init__(self, store: ObjectStore, name: str, size: int, whole: Callable[[], Reader]) -> None:
        self._store, self._name, self.size, self._whole = store, name, size, whole
        self._lock = threading.Lock()
        self._bytes = self._requests = 0
        self._copy: Reader | None = None

    def read_at(self, position: int, count: int) -> bytes:
        """Return up to `count` bytes at a position."""
        count = max(0, min(count, self.size - position))
        with self._lock:
            self._bytes += count
            self._requests += 1
            if self._copy is None and (self._bytes > _MOST_BYTES or self._requests > _MOST_REQUESTS):
                self._copy = self._whole()
            copy = self._copy
        return copy.read_at(position, count) if copy else self._store.read_range(self._name, position, count)

    def close(self) -> None:
        """Close the copy."""
        if self._copy is not None:
            self._copy.close()
