"""Choice of the frames of a segment that are searched, compared or searched in addition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from rmset.geometry import Box
from rmset.layout_record import Segment
from rmset.stages.audit.config import AuditConfig

# Largest distance of a key frame that replaces a frame to sample, as a share of the distance between samples.
_NEAR = 0.4
# Shortest segment in which people are expected to change places, frames.
_LONG = 120
# Distance of the first and last face that are compared from a segment's ends, frames; blends are about as long.
_END = 6
# Fewest tracked frames of a stretch in which no face is compared that count as one; and as many regular distances.
_BLIND, _STRETCH = 20, 2


def to_search(segment: Segment, config: AuditConfig, keys: Sequence[int]) -> list[int]:
    """Frames of a segment to search for faces, evenly spaced."""
    count = max(config.fewest, _length(segment) // config.every)
    return _near(_evenly(segment, count), segment, keys)


def of_each_grid(segments: Mapping[int, Segment], searched: Mapping[int, Sequence[int]]) -> set[int]:
    """Return the middle searched frame of the longest segment of each grid: of each set of panels and regions.

    A person who is there for most of a segment is there in its middle.
    """
    longest: dict[frozenset[Box], int] = {}
    for n, s in segments.items():
        grid = frozenset([p.panel or p.box for p in s.people] + [r.box for r in s.trigger_regions])
        if grid not in longest or _length(s) > _length(segments[longest[grid]]):
            longest[grid] = n
    return {searched[n][len(searched[n]) // 2] for n in longest.values() if searched[n]}


def _length(segment: Segment) -> int:
    return segment.end_frame - segment.start_frame


def to_compare(segment: Segment, searched: int, config: AuditConfig) -> list[int]:
    """Frames of a segment for comparing faces: about twice as many as searched, in a short segment as many.

    They are not moved to key frames: encoders put those where pictures change, and there tracks are least certain. One
    is near each end, where a segment that is cut a little too early or late shows somebody else.
    """
    long = _length(segment) >= _LONG
    between = _evenly(segment, min(2 * searched + 1, config.faces - 2) if long else searched)
    ends = [segment.start_frame + _END, segment.end_frame - 1 - _END]
    return sorted({*between, *(e for e in ends if between and all(abs(e - f) > _END for f in between))})


def uncompared(tracked: Sequence[int], compared: Sequence[int], faces: int) -> list[tuple[int, int, int]]:
    """(frame before, frame after, tracked frames between) of long stretches in which no face of a person is compared.

    Args:
        tracked: the person's frames in a segment, ascending.
        compared: those of them with a compared face, ascending.
        faces: faces that should be compared, evenly spaced.
    """
    if not len(tracked):
        return []
    longest = max(_BLIND, _STRETCH * len(tracked) // faces)
    edges = [tracked[0] - 1, *compared, tracked[-1] + 1]
    at = np.searchsorted(tracked, edges)
    between = np.diff(at) - np.isin(edges[:-1], compared)
    return [(low, high, int(n)) for (low, high), n in zip(pairwise(edges), between, strict=True) if n > longest]


def to_search_again(segment: Segment, searched: Sequence[int], config: AuditConfig, keys: Sequence[int]) -> list[int]:
    """Further frames of a segment in which something may be wrong."""
    return sorted({*_near(_evenly(segment, config.again), segment, keys)} - {*searched})


def _near(frames: Sequence[int], segment: Segment, keys: Sequence[int]) -> list[int]:
    """Replace each frame by a key frame near it, if there is one: a key frame costs only one decoded frame."""
    reach = _NEAR * _length(segment) / (len(frames) + 1)
    inside = [k for k in keys if segment.start_frame + 2 <= k < segment.end_frame - 2]
    close = {f: min(inside, key=lambda k: abs(k - f), default=f) for f in frames}
    return sorted({k if abs(k - f) <= reach else f for f, k in close.items()})


def _evenly(segment: Segment, count: int) -> list[int]:
    """Evenly spaced frames of a segment without its ends, which may be part of a blend."""
    count = min(_length(segment), count)
    frames = {int(v) for v in np.linspace(segment.start_frame, segment.end_frame - 1, count + 2)[1:-1]}
    return sorted(frames)


def evenly_of(numbers: Sequence[int], count: int) -> list[int]:
    """At most `count` of some ascending frame numbers, evenly spaced."""
    if len(numbers) <= count:
        return list(numbers)
    return [numbers[round(float(p))] for p in np.linspace(0, len(numbers) - 1, count + 2)[1:-1]]
