"""Perceptual hashes that differ in few bits, exactly: within a set of millions, or between such a set and a small one.

Multi-index hashing (Norouzi et al., CVPR 2012): hashes that differ in at most r bits agree in at least one of r + 1
parts, so only hashes with an equal part are compared. Within a set a part takes bits from all over the picture:
neighboring bits are alike, and parts of neighbors would put most pictures into few buckets.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from rmset.parts.likeness import BITS, BYTES, Hashes
from rmset.progress import Progress, silent

# Widest part, bits: wider ones would not make fewer comparisons of a few million hashes.
_WIDEST = 24
# Comparisons at once.
_CHUNK = 1 << 20
# Parts of 16 bits of a hash, and pairs of hashes compared at once (128 MB), between two sets.
_KEYS, _BLOCK = BYTES // 2, 1 << 22

Pairs = npt.NDArray[np.int64]


def near_pairs(hashes: Hashes, most: int, progress: Progress = silent) -> Iterator[tuple[Pairs, npt.NDArray[np.uint8]]]:
    """Yield pairs of rows (n, 2), the smaller row first, with their number of different bits (n,).

    Each pair comes once; the order is that of the parts.

    Args:
        hashes: (N, 32) uint8.
        most: largest number of different bits, below 32.
        progress: progress callback on parts.
    """
    if not 0 <= most < BITS // 8:
        raise ValueError(f"expected at most 0 to {BITS // 8 - 1} bits, found {most}")
    words = np.ascontiguousarray(hashes).view(np.uint64)
    parts = most + 1
    places = [np.arange(part, BITS, parts)[:_WIDEST] for part in range(parts)]
    for part, bits in enumerate(places):
        progress("compare pictures", part, parts)
        keys = _keys(hashes, bits)
        order = np.argsort(keys, kind="stable")
        for pairs, apart in _same_part(words, keys[order], order, most):
            yield _first_time(hashes, pairs, apart, places[:part])
    progress("compare pictures", parts, parts)


def _keys(hashes: Hashes, bits: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    """Return the chosen bits of each hash as one number (N,)."""
    keys = np.zeros(len(hashes), np.uint32)
    for bit in bits.tolist():
        keys = keys << np.uint32(1) | (hashes[:, bit // 8] >> np.uint8(7 - bit % 8) & np.uint8(1))
    return keys


def _same_part(
    words: npt.NDArray[np.uint64], keys: npt.NDArray[np.uint32], order: npt.NDArray[np.int64], most: int
) -> Iterator[tuple[Pairs, npt.NDArray[np.uint8]]]:
    """Yield the pairs within each run of equal keys that differ in at most `most` bits."""
    # Most pairs differ in too many bits of a quarter already; in this order it is read in sequence.
    quarter = words[order, 0]
    at = np.flatnonzero(keys[1:] == keys[:-1])
    step = 1
    while len(at):
        for low in range(0, len(at), _CHUNK):
            some = at[low : low + _CHUNK]
            some = some[np.bitwise_count(quarter[some] ^ quarter[some + step]) <= most]
            if not len(some):
                continue
            one, two = order[some], order[some + step]
            apart = np.bitwise_count(words[one] ^ words[two]).sum(axis=1, dtype=np.uint16)
            near = apart <= most
            if near.any():
                pairs = np.stack([np.minimum(one[near], two[near]), np.maximum(one[near], two[near])], axis=1)
                yield pairs, apart[near].astype(np.uint8)
        step += 1
        at = at[at + step < len(keys)]
        at = at[keys[at] == keys[at + step]]


def _first_time(
    hashes: Hashes, pairs: Pairs, apart: npt.NDArray[np.uint8], earlier: list[npt.NDArray[np.int64]]
) -> tuple[Pairs, npt.NDArray[np.uint8]]:
    """Leave out pairs that were found by an earlier part."""
    if not earlier:
        return pairs, apart
    rows, where = np.unique(pairs.reshape(-1), return_inverse=True)
    one, two = where.reshape(-1, 2).T
    fresh = np.ones(len(pairs), np.bool_)
    chosen = hashes[rows]
    for bits in earlier:
        keys = _keys(chosen, bits)
        fresh &= keys[one] != keys[two]
    return pairs[fresh], apart[fresh]


def alike(ours: Hashes, theirs: Hashes, most: int) -> Iterator[tuple[int, int, int]]:
    """Find pairs of hashes that differ in at most `most` bits: yields (row of ours, row of theirs, bits).

    Only rows that share a part of 16 bits with any of theirs are compared.

    Args:
        ours: (N, 32) uint8.
        theirs: (M, 32) uint8; the smaller set.
        most: below 16.
    """
    if not 0 <= most < _KEYS:
        raise ValueError(f"expected at most 0 to {_KEYS - 1} bits, found {most}")
    if not (len(ours) and len(theirs)):
        return
    mine, other = (np.ascontiguousarray(h).view(np.uint16) for h in (ours, theirs))
    possible = np.zeros(len(ours), np.bool_)
    for part in range(_KEYS):
        known = np.zeros(1 << 16, np.bool_)
        known[other[:, part]] = True
        possible |= known[mine[:, part]]
    rows = np.flatnonzero(possible)
    words, wanted = (np.ascontiguousarray(h).view(np.uint64) for h in (ours[rows], theirs))
    step = max(1, _BLOCK // len(theirs))
    for low in range(0, len(rows), step):
        apart = np.bitwise_count(words[low : low + step, None] ^ wanted[None]).sum(axis=2)
        for row, column in np.argwhere(apart <= most):
            yield int(rows[low + row]), int(column), int(apart[row, column])


def as_hashes(data: bytes) -> Hashes:
    """Return joined hashes as rows (N, 32)."""
    return np.frombuffer(data, np.uint8).reshape(-1, BYTES)
