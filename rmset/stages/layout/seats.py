"""Changes of the person in a panel, found by changes of the room: swaps, replacements, people who leave and return.

portraits of each seat, look by look  ->  first look with another room  ->  the exact frame
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from rmset.stages.layout.edges import Rect
from rmset.stages.layout.kept import KeptFrames
from rmset.stages.layout.portraits import OTHER_ROOM, Portrait, likeness, portrait, usual
from rmset.stages.layout.spans import Span
from rmset.stages.layout.watch import View, Watched
from rmset.threads import at_once

# Looks compared on each side of a change, and least likeness of the looks of one side.
_WINDOW, _SETTLED = 3, 0.55
# Least likeness of two looks that are enough on one side: an empty panel holds still.
_STILL, _FEWEST = 0.95, 2
# Least `sitting` of a seat: a person may sit there in only one part of the span.
_SEATED = 0.25
# Cuts nearer to each other than this are one (seconds).
_ONE_S = 0.4


def cuts(reader: KeptFrames, span: Span, view: View, fps: float) -> list[int]:
    """Find the first frames of new rooms in any seat of a span, ascending."""
    found: list[int] = []
    seats = [seat for seat in view.panels if seat.sitting >= _SEATED]
    for seat, anew in zip(seats, at_once(partial(changes, seat) for seat in seats), strict=True):
        for look in anew:
            sides = (usual(side) for side in _sides(seat.portraits, look, _Once()))
            found.append(_exactly(reader, seat.panel.rect, view.frames[look - 1], view.frames[look], *sides))
    near = _ONE_S * fps
    kept: list[int] = []
    for cut in sorted(found):
        if cut - span.start >= near and span.end - cut >= near and (not kept or cut - kept[-1] >= near):
            kept.append(cut)
    return kept


def changes(seat: Watched) -> list[int]:
    """Numbers of the looks at which a seat starts to show another room."""
    pictures, once = seat.portraits, _Once()
    found: list[int] = []
    alike: dict[int, float] = {}
    for look in range(1, len(pictures)):
        before, after = _sides(pictures, look, once)
        if _settled(before, once) and _settled(after, once):
            alike[look] = likeness(usual(before), usual(after), _SETTLED)
    for look, score in alike.items():
        beside = [alike.get(n, 1.0) for n in (look - 1, look + 1)]
        if score >= OTHER_ROOM or score > min(beside):
            continue
        if once.likeness(pictures[look - 1], pictures[look], _SETTLED) < OTHER_ROOM:
            found.append(look)
    return found


class _Once:
    """Likeness of pictures that live as long as this; the same two are compared once, though windows overlap."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, float], float] = {}

    def likeness(self, one: Portrait, other: Portrait, enough: float) -> float:
        """Return `portraits.likeness` of two pictures."""
        key = (id(one), id(other), enough)
        if key not in self._known:
            self._known[key] = likeness(one, other, enough)
        return self._known[key]


def _sides(pictures: Sequence[Portrait], look: int, once: _Once) -> tuple[Sequence[Portrait], Sequence[Portrait]]:
    """Return the pictures before and from a look on that are compared."""
    before, after = pictures[max(0, look - _WINDOW) : look], pictures[look : look + _WINDOW]
    return _one_room(before, before[-_FEWEST:], once), _one_room(after, after[:_FEWEST], once)


def _one_room(pictures: Sequence[Portrait], nearest: Sequence[Portrait], once: _Once) -> Sequence[Portrait]:
    """Return the nearest pictures where only they show one room, and hold still; else all."""
    if len(nearest) < _FEWEST or _settled(pictures, once):
        return pictures
    return nearest if once.likeness(nearest[0], nearest[1], _STILL) >= _STILL else pictures


def _settled(pictures: Sequence[Portrait], once: _Once) -> bool:
    """Whether all pictures show one room."""
    return all(once.likeness(pictures[0], p, _SETTLED) >= _SETTLED for p in pictures[1:])


def _exactly(reader: KeptFrames, rect: Rect, low: int, high: int, before: Portrait, after: Portrait) -> int:
    """Return the first frame in (low, high] that is more like `after` than like `before`."""
    x0, y0, x1, y1 = rect
    while high - low > 1:
        middle = [int(v) for v in np.linspace(low, high, min(high - low + 1, 17)).round()[1:-1]]
        for frame in reader.sample(sorted(set(middle))):
            now = portrait(frame.rgb[y0:y1, x0:x1])
            if likeness(now, after) > likeness(now, before):
                high = frame.frame_idx
                break
            low = frame.frame_idx
        else:
            # No frame in between resembles `after`, so the change lies in the last frames.
            low = max(low, max(middle))
            if high - low <= 1:
                break
    return high
