"""Frames to sample, so that a long video need not be decoded in full.

A key frame costs one decoded picture; any other frame costs all pictures since the key frame before it. So a long video
is sampled at key frames, and densely only at its beginning and end, where titles are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Longest video sampled evenly, seconds.
_SHORT_S = 60.0
# Seconds between dense samples, and least seconds between sampled key frames (denser ones cost more than they tell).
_CLOSE_S, _APART_S = 0.5, 2.6
# Length of the beginning and of the end of a long video that are sampled densely, seconds.
_ENDS_S = 5.0
# Longest distance between samples, seconds: between rarer key frames, other frames are sampled too.
_RARE_S = 12.0


def plan(frame_count: int, fps: float, keys: Sequence[int]) -> list[int]:
    """Frame numbers to sample, ascending.

    Args:
        frame_count: number of frames of the video.
        fps: average frames per second.
        keys: frame numbers of its key frames.

    >>> plan(60, 30.0, [0])
    [0, 15, 30, 45, 59]
    """
    close = max(1, round(_CLOSE_S * fps))
    last = frame_count - 1
    if frame_count <= _SHORT_S * fps:
        return sorted({*range(0, frame_count, close), last})
    ends = round(_ENDS_S * fps)
    wanted = {*range(0, ends, close), *range(last, last - ends, -close)}
    before = ends
    for key in [*(k for k in keys if ends <= k < last - ends), last - ends]:
        if key - before > _RARE_S * fps:
            gaps = int(np.ceil((key - before) / (_RARE_S * fps)))
            wanted |= {int(v) for v in np.linspace(before, key, gaps + 1)[1:-1]}
        if key - before >= _APART_S * fps:
            wanted.add(key)
            before = key
    return sorted(wanted)


def spread_out(frames: Sequence[int], most: int) -> list[int]:
    """At most `most` of the frames, spread evenly over time, ends included.

    >>> spread_out([0, 1, 2, 3, 50, 100], 3)
    [0, 50, 100]
    """
    if len(frames) <= most:
        return list(frames)
    times = np.asarray(frames)
    return sorted({frames[int(np.abs(times - at).argmin())] for at in np.linspace(frames[0], frames[-1], most)})


def cheapest(frames: Sequence[int], keys: Sequence[int], enough: int) -> list[int]:
    """Return the key frames among the frames if there are at least `enough`, else all frames."""
    cheap = sorted(set(frames) & set(keys))
    return cheap if len(cheap) >= enough else list(frames)
