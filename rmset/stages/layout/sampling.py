"""Which frames to look at, so that a long video is known without being decoded.

Key frames cost one decoded picture each; any other frame costs all those since the key frame before it. So a long
video is looked at where its key frames are, and closely only at its beginning and end, where titles are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Videos up to so many seconds are looked at evenly.
_SHORT_S = 60.0
# Seconds between looks: where everything is decoded anyway, and at least from one key frame to the next (nearer ones
# are reached by decoding all between them, which costs more than it tells).
_CLOSE_S, _APART_S = 0.5, 2.6
# So much of the beginning and of the end of a long video is looked at closely.
_ENDS_S = 5.0
# Where key frames are rarer than this, frames between them are taken as well.
_RARE_S = 12.0


def plan(frame_count: int, fps: float, keys: Sequence[int]) -> list[int]:
    """Frame numbers to look at, ascending.

    Args:
        frame_count: of the video.
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
    """At most so many of the frames, evenly over their time, ends included.

    >>> spread_out([0, 1, 2, 3, 50, 100], 3)
    [0, 50, 100]
    """
    if len(frames) <= most:
        return list(frames)
    times = np.asarray(frames)
    return sorted({frames[int(np.abs(times - at).argmin())] for at in np.linspace(frames[0], frames[-1], most)})


def cheapest(frames: Sequence[int], keys: Sequence[int], enough: int) -> list[int]:
    """Return the key frames among the frames if there are enough of them, else all."""
    cheap = sorted(set(frames) & set(keys))
    return cheap if len(cheap) >= enough else list(frames)
