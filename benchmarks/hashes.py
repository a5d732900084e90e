"""Search of like pictures among millions of perceptual hashes.

    python -m benchmarks.hashes [--rows 4500000] [--rivals 100000] [--write]

Hashes are synthetic: uniform bits, and bits as unequal as those of photographs, where few buckets get most hashes. In
one hash of a hundred, up to 12 bits of another one are flipped; all of these pairs must be found. Rivals search the
same hashes, fewer of them, with as many threads.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from benchmarks.report import Line, memory, publish
from rmset.parts.hashsearch import near_pairs
from rmset.parts.likeness import BITS, BYTES, Hashes

BITS_APART = 12
_CHUNK = 100_000


def hashes_of(rows: int, kind: str, seed: int = 0) -> tuple[Hashes, set[tuple[int, int]]]:
    """Return hashes, and the pairs that were planted among them."""
    rng = np.random.default_rng(seed)
    likely = np.full(BITS, 0.5)
    if kind == "unequal":
        # The brighter side of a face is the same in most pictures.
        likely = rng.beta(2, 2, BITS)
    parts = [
        np.packbits(rng.random((min(_CHUNK, rows - low), BITS), dtype=np.float32) < likely, axis=1)
        for low in range(0, rows, _CHUNK)
    ]
    found = np.concatenate(parts).reshape(-1, BYTES)
    chosen = rng.permutation(rows)[: 2 * (rows // 100)].reshape(2, -1)
    planted = set()
    for one, two in chosen.T.tolist():
        bits = np.unpackbits(found[one])
        bits[rng.choice(BITS, int(rng.integers(0, BITS_APART + 1)), replace=False)] ^= 1
        found[two] = np.packbits(bits)
        planted.add((min(one, two), max(one, two)))
    return found, planted


def ours(hashes: Hashes) -> set[tuple[int, int]]:
    """Pairs by `rmset.parts.hashsearch`."""
    return {(a, b) for pairs, _ in near_pairs(hashes, BITS_APART) for a, b in pairs.tolist()}


def faiss_flat(hashes: Hashes) -> set[tuple[int, int]]:
    """Pairs by comparing all with all, in faiss."""
    import faiss

    index = faiss.IndexBinaryFlat(BITS)
    index.add(hashes)
    return _ranged(index, hashes)


def faiss_multi(hashes: Hashes) -> set[tuple[int, int]]:
    """Pairs by faiss's multi-index hashing, with as many parts of as many bits as ours."""
    import faiss

    index = faiss.IndexBinaryMultiHash(BITS, BITS_APART + 1, 19)
    index.nflip = 0
    index.add(hashes)
    return _ranged(index, hashes)


def _ranged(index: object, hashes: Hashes) -> set[tuple[int, int]]:
    found = set()
    for low in range(0, len(hashes), _CHUNK):
        limits, _, labels = index.range_search(hashes[low : low + _CHUNK], BITS_APART + 1)  # type: ignore[attr-defined]
        one = np.repeat(np.arange(len(limits) - 1) + low, np.diff(limits.astype(np.int64)))
        found |= {(min(a, b), max(a, b)) for a, b in zip(one.tolist(), labels.tolist(), strict=True) if a != b}
    return found


def usearch_graph(hashes: Hashes) -> set[tuple[int, int]]:
    """Pairs by usearch's graph (HNSW), which finds the four nearest, not surely."""
    from usearch.index import Index

    index = Index(ndim=BITS, metric="hamming", dtype="b1")
    keys = np.arange(len(hashes))
    index.add(keys, hashes, threads=2)
    matches = index.search(hashes, 4, threads=2)
    near = (matches.distances <= BITS_APART) & (matches.keys != keys[:, None])
    rows, columns = np.nonzero(near)
    return {(min(a, b), max(a, b)) for a, b in zip(rows.tolist(), matches.keys[rows, columns].tolist(), strict=True)}


RIVALS: dict[str, Callable[[Hashes], set[tuple[int, int]]]] = {
    "faiss IndexBinaryFlat": faiss_flat,
    "faiss IndexBinaryMultiHash": faiss_multi,
    "usearch HNSW": usearch_graph,
}


def timed(
    search: Callable[[Hashes], set[tuple[int, int]]], hashes: Hashes
) -> tuple[set[tuple[int, int]], float, float]:
    """Return the pairs, seconds, and processor seconds."""
    began, cpu = time.monotonic(), time.process_time()
    found = search(hashes)
    return found, time.monotonic() - began, time.process_time() - cpu


def main() -> None:
    """Measure and print, or write benchmarks/results/hashes.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4_500_000, help="hashes for ours")
    parser.add_argument("--rivals", type=int, default=100_000, help="hashes for the comparison")
    parser.add_argument("--write", action="store_true", help="write the table into the repository")
    arguments = parser.parse_args()
    lines = []
    for kind in ("uniform", "unequal"):
        hashes, planted = hashes_of(arguments.rows, kind)
        found, seconds, cpu = timed(ours, hashes)
        lines.append(
            Line(
                f"all pairs within {BITS_APART} bits of {arguments.rows:,} hashes, {kind} bits",
                f"{seconds:.0f} s ({cpu:.0f} s of processor time, {memory()[0]:,.0f} MB at its end); "
                f"{len(planted & found):,} of {len(planted):,} planted pairs, {len(found - planted):,} others",
                "≤ 600 s, all",
                seconds <= 600 and planted <= found,
            )
        )
    hashes, planted = hashes_of(arguments.rivals, "unequal")
    for name, search in {"ours": ours, **RIVALS}.items():
        found, seconds, cpu = timed(search, hashes)
        told = f"{seconds:.1f} s ({cpu:.1f} s of processor time); {len(planted & found):,} of {len(planted):,}"
        lines.append(Line(f"… of {arguments.rivals:,} hashes, unequal bits: {name}", told))
    notes = [
        "faiss and usearch are no dependencies; `pip install faiss-cpu usearch` for this benchmark",
        "ours needs NumPy alone, is exact, and returns each pair once",
    ]
    publish("hashes", "Search of like pictures", lines, notes, write=arguments.write)


if __name__ == "__main__":
    main()
