"""Pictures of shards on an object store that have no local copy yet.

They are read as parts of their shards, many at once, so that the first batch does not wait for shards of a gigabyte.
After many pictures shards are copied in the background, the most read first, if the copies of all fit into the cache.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from rmset.errors import RmsetError, ShardError
from rmset.files import Files
from rmset.read.rows import Shard

SMALL = 1 << 20
"""A shard up to this size is brought whole, bytes."""
_AT_ONCE = 16
_MANY = 512
"""Pictures after which shards are copied: looking at some is not reading all."""


class FarShards:
    """Shards of a root that are read from where they are.

    Args:
        files: storage of the shards.
        shards: state of each shard when the index was made; changed shards are refused.
    """

    def __init__(self, files: Files, shards: tuple[Shard, ...]) -> None:
        self._files, self._shards = files, shards
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._read = Counter[int]()
        self._tried = set[int]()
        self._copies: bool | None = None
        self._copying = False

    def is_far(self, number: int) -> bool:
        """Whether a shard has no local copy, and is large."""
        known = self._shards[number]
        return known.bytes > SMALL and not self._files.is_local(known.key)

    def read(self, places: Sequence[tuple[int, int, int]]) -> list[bytes]:
        """Return the bytes at (shard, position, size).

        Raises:
            ShardError: a shard is missing or has changed.
        """
        of: dict[int, list[int]] = {}
        for i, (number, _, _) in enumerate(places):
            of.setdefault(number, []).append(i)
        spans = {number: [places[i][1:] for i in own] for number, own in of.items()}
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_AT_ONCE, "rmset-parts")
        found = [b""] * len(places)
        for own, parts in zip(of.values(), self._pool.map(self._parts, spans, spans.values()), strict=True):
            for i, part in zip(own, parts, strict=True):
                found[i] = part
        self._note(of)
        return found

    def _parts(self, number: int, spans: list[tuple[int, int]]) -> list[bytes]:
        known = self._shards[number]
        place = self._files.place(known.key)
        try:
            now = self._files.stamp(known.key)
            if (now.bytes, now.version) == (known.bytes, known.version):
                return self._files.read_parts(known.key, spans)
        except FileNotFoundError:
            raise ShardError(f"{place}: expected a shard, found none; open the root again") from None
        raise ShardError(f"{place}: has changed since the root was opened; open the root again")

    def _note(self, of: dict[int, list[int]]) -> None:
        """Count the pictures of each shard, and begin to copy shards after many pictures."""
        with self._lock:
            self._read.update({number: len(own) for number, own in of.items()})
            if self._copies is False or self._copying or self._read.total() < _MANY:
                return
            if self._copies is None:
                self._copies = self._files.keeps(sum(shard.bytes for shard in self._shards))
            if self._copies:
                self._copying = True
                # the end of the program does not wait for a copy
                threading.Thread(target=self._copy, name="rmset-copy", daemon=True).start()

    def _copy(self) -> None:
        """Copy the shards that were read, the most read first."""
        while True:
            with self._lock:
                wanted = max(self._read.keys() - self._tried, key=lambda number: self._read[number], default=None)
                if wanted is None:
                    self._copying = False
                    return
                self._tried.add(wanted)
            # if it fails, parts are read on, and say what is wrong
            with contextlib.suppress(RmsetError, OSError):
                self._files.local(self._shards[wanted].key)
