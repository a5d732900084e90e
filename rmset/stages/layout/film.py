"""Find the trigger panel of a view: the panel most like a film, its bars, its copies and blurs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rmset.geometry import center
from rmset.layout_record import TriggerRegion
from rmset.stages.layout import changes, copies
from rmset.stages.layout.bars import covers, with_bars
from rmset.stages.layout.copies import Copy
from rmset.stages.layout.edges import Rect
from rmset.stages.layout.watch import View, Watched

# Margin over the next panel at which the choice is nearly certain, and at which it is a coin toss.
_SURE, _TOSS = 0.75, 0.0
# Least share of a copy covered by the panel at its middle for that panel to be the copy; below it the copy is cut off.
_HOST = 0.6
# Share of the screen from which a film fills it, apart from its bars.
_FILLS = 0.7
# Largest difference in likeness of two film panels; least `sitting` of a panel with a person.
_EQUAL, _SEATED = 0.5, 0.5
# Least likeness of a delayed copy's pictures to pictures of the film; `sitting` below which no person is in a panel.
_SHOWN, _UNSEATED = 0.8, 0.25
# Largest area of a panel over a film, relative to the film.
_OVER = 0.5
# Window for averaging coarse structure, px of a look.
_COARSE = (25, 25)
# Share of looks in which a person is seen from which no copy may cover them.
_SEEN = 0.3
# Largest confidence with two regions: they can be wrong in more ways, so a person should look.
_TWICE = 0.75
# A blurred copy behind the panels: largest share of the film's detail, least motion of the film's rim, and least
# correlation of their coarse brightness changes.
_BLURRED, _LIVELY, _AGREE = 0.65, 0.4, 0.5
# Largest distance of the sides of two panels that mirror each other, as a share of the screen's longer side.
_MIRRORED = 0.01
# Share of the median panel's detail below which a panel is always taken for blur.
_FAINT = 0.25


@dataclass(frozen=True)
class Film:
    """Places of the film on the screen."""

    regions: tuple[Rect, ...]
    """the chosen panel first, then its copies"""
    panels: tuple[int, ...]
    """numbers of the view's panels that are film"""
    confidence: float


def find(view: View, frame_size: tuple[int, int], like: Sequence[float]) -> Film | None:
    """Find the film of a view; None if no panel is eligible.

    Args:
        view: its panels.
        frame_size: (width, height).
        like: score of each panel as the film's, from `signs.pooled`.
    """
    panels = view.panels
    if len(panels) < 2:
        return None
    usual = float(np.median([p.area for p in panels]))
    # A sliver is never the film's panel.
    blurs = [i for i, p in enumerate(panels) if _is_blur(p, view, frame_size)]
    blurs += _other_sides(panels, blurs, frame_size)
    if all(p.sitting >= _SEATED for i, p in enumerate(panels) if i not in blurs):
        # A film behind all people lacks detail beside their small panels.
        blurs = [i for i in blurs if not _lies_behind_all(i, panels)]
    eligible = [i for i, p in enumerate(panels) if i not in blurs and (p.area >= usual / 4 or p.panel.inset)]
    if not eligible:
        return None
    likeness = {i: like[i] for i in eligible}
    order = sorted(eligible, key=lambda i: -likeness[i])
    chosen = order[0]
    rects = [p.panel.rect for p in panels]
    regions = [_filled_up(with_bars(rects[chosen], rects, frame_size, view.looks), chosen, view, frame_size)]
    over = [p.panel.rect for i, p in enumerate(panels) if p.panel.inset and i != chosen]
    copy = copies.find(view.looks, rects[chosen], frame_size, over)
    again: list[int] = []
    seats = [i for i in range(len(panels)) if i not in blurs]
    if copy is not None:
        region, again = _second(copy, regions[0], view, [i for i in seats if i != chosen], frame_size)
        regions += [region] if region else []
    equal = _equals(panels, likeness, [i for i in order if i not in again])
    regions += [with_bars(rects[i], rects, frame_size, view.looks) for i in equal]
    again += equal
    rivals = [likeness[i] for i in order[1:] if i not in again]
    margin = likeness[chosen] - max(rivals, default=0.0)
    confidence = float(np.clip(0.5 + 0.5 * (margin - _TOSS) / (_SURE - _TOSS), 0.05, 0.99))
    if len(regions) > 1 or copy is not None:
        confidence = min(confidence, _TWICE)
    return Film(tuple(regions), (chosen, *again, *blurs), round(confidence, 3))


def _filled_up(region: Rect, chosen: int, view: View, frame_size: tuple[int, int]) -> Rect:
    """Return the whole screen if the film nearly fills it and the rest is empty: bars that only some scenes have."""
    width, height = frame_size
    if (region[2] - region[0]) * (region[3] - region[1]) < _FILLS * width * height:
        return region
    beside = [p for i, p in enumerate(view.panels) if i != chosen and covers(region, p.panel.rect) < 0.5]
    return region if any(p.sitting >= _UNSEATED for p in beside) else (0, 0, width, height)


def known(view: View, regions: Sequence[TriggerRegion]) -> Film:
    """Build the film of a view from regions known from another segment."""
    rects = [tuple(round(v) for v in r.box) for r in regions]
    whole = [(r[0], r[1], r[2], r[3]) for r in rects]
    inside = tuple(
        i
        for i, p in enumerate(view.panels)
        if any(covers(r, p.panel.rect) >= _HOST and not _sits_over(p, r) for r in whole)
    )
    return Film(tuple(whole), inside, min(r.confidence for r in regions))


def _lies_behind_all(number: int, panels: Sequence[Watched]) -> bool:
    """Whether all other panels lie over this one."""
    rect = panels[number].panel.rect
    others = [p for n, p in enumerate(panels) if n != number]
    return all(p.panel.inset and covers(rect, p.panel.rect) >= _HOST for p in others)


def _sits_over(panel: Watched, region: Rect) -> bool:
    """Whether a person's panel lies over a film that is much larger."""
    x0, y0, x1, y1 = region
    return panel.panel.inset and panel.sitting >= _UNSEATED and panel.area < _OVER * (x1 - x0) * (y1 - y0)


def _is_blur(panel: Watched, view: View, frame_size: tuple[int, int]) -> bool:
    """Whether a panel is the blurred background: no person in it, and a lively, sharper panel changes as it does."""
    if panel.sitting > 0 or panel.panel.inset:
        return False
    if panel.detail < _FAINT * float(np.median([p.detail for p in view.panels])):
        return True
    sharper = [p for p in view.panels if p.rim >= _LIVELY and _blurred(panel, p)]
    return any(_agree(panel.panel.rect, p.panel.rect, view, frame_size) >= _AGREE for p in sharper)


def _other_sides(panels: Sequence[Watched], blurs: Sequence[int], frame_size: tuple[int, int]) -> list[int]:
    """Return the empty panels that mirror a blurred background across the screen: what it shows on the other side.

    The two sides show different parts of a soft film, so one of them can have as much detail as the film. Where they
    are all that may be the film, one of them is.
    """
    width, height = frame_size
    near = _MIRRORED * max(frame_size)
    sides: list[Rect] = []
    for x0, y0, x1, y1 in (panels[i].panel.rect for i in blurs):
        sides += [(width - x1, y0, width - x0, y1), (x0, height - y1, x1, height - y0)]
    empty = [i for i, p in enumerate(panels) if i not in blurs and p.sitting == 0 and not p.panel.inset]
    found = [i for i in empty if any(np.abs(np.subtract(panels[i].panel.rect, s)).max() <= near for s in sides)]
    left = [p for i, p in enumerate(panels) if i not in found and i not in blurs]
    return found if any(p.sitting < _SEATED for p in left) else []


def _blurred(panel: Watched, beside: Watched) -> bool:
    """Whether a panel is blurrier than the other, beyond what its larger size explains."""
    return panel.detail < _BLURRED * beside.detail * min(1.0, float(np.sqrt(beside.area / panel.area)))


def _agree(behind: Rect, film: Rect, view: View, frame_size: tuple[int, int]) -> float:
    """Correlation of the changes in a rectangle with those of the film stretched over the screen, both blurred.

    Pixels covered by insets are left out.
    """
    looks = view.looks.astype(np.float32)
    if len(looks) < 2:
        return 0.0
    free = np.ones(looks.shape[1:], np.float32)
    for x0, y0, x1, y1 in (changes.in_small(p.panel.rect, frame_size) for p in view.panels if p.panel.inset):
        free[y0:y1, x0:x1] = 0
    a0, b0, a1, b1 = changes.in_small(film, frame_size)
    x0, y0, x1, y1 = changes.in_small(behind, frame_size)

    def stretched(picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(cv2.resize(picture[b0:b1, a0:a1], changes.SMALL)[y0:y1, x0:x1], np.float32)

    ours = [_coarse(look[y0:y1, x0:x1], free[y0:y1, x0:x1]) for look in looks]
    theirs = [_coarse(stretched(look), stretched(free)) for look in looks]
    both = free[y0:y1, x0:x1] * stretched(free) > 0.5
    a, b = (np.stack(p)[:, both] - np.mean(p, axis=0)[both] for p in (ours, theirs))
    scale = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    return float((a * b).sum()) / scale if scale > 1e-3 else 0.0


def _coarse(picture: npt.NDArray[np.float32], free: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Mean around each pixel, over the free pixels only."""
    return np.asarray(cv2.blur(picture * free, _COARSE) / np.maximum(cv2.blur(free, _COARSE), 1e-3), np.float32)


def _equals(panels: Sequence[Watched], likeness: dict[int, float], order: Sequence[int]) -> list[int]:
    """Return the second panel of the order if it is as likely a film as the first, and all others hold people.

    A copy that is delayed or cropped differently does not change at the same times as the film. But it shows the film's
    pictures, or has no person who stays in place.
    """
    if len(order) < 3 or not any(panels[i].sitting >= _SEATED for i in order[2:]):
        return []
    first, second, third = order[:3]
    near = likeness[first] - likeness[second] <= _EQUAL and likeness[second] - likeness[third] >= _SURE
    sitting = panels[second].sitting
    copied = sitting < _UNSEATED or (sitting < _SEATED and _shows(panels[second], panels[first]) >= _SHOWN)
    return [second] if near and copied and not _blurred(panels[second], panels[first]) else []


def _shows(copy: Watched, film: Watched) -> float:
    """Mean likeness, at most 1, of a panel's pictures to the most similar picture of the film at any time."""
    if not len(film.thumbs):
        return 0.0
    ours, mirrored, theirs = (_plain(t) for t in (copy.thumbs, copy.thumbs[:, :, ::-1], film.thumbs))
    return float(max((ours @ theirs.T).max(axis=1).mean(), (mirrored @ theirs.T).max(axis=1).mean()))


def _plain(thumbs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Small pictures as rows of mean 0 and norm 1."""
    rows = thumbs.reshape(len(thumbs), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-3), np.float32)


def _second(
    copy: Copy, film: Rect, view: View, seats: Sequence[int], frame_size: tuple[int, int]
) -> tuple[Rect | None, list[int]]:
    """Return the region of a copy, and the panel it fills; no region if it would cover a person.

    Args:
        copy: place and scale of the copy.
        film: the first region, bars included.
        view: all panels.
        seats: numbers of the panels that may be the copy or may hold a person under it.
        frame_size: (width, height).
    """
    panels = view.panels
    x0, y0, x1, y1 = copy.of(film)
    region = (max(x0, 0), max(y0, 0), min(x1, frame_size[0]), min(y1, frame_size[1]))
    under = [i for i in seats if _holds(panels[i].panel.rect, *copy.center)]
    host = min(under, key=lambda i: panels[i].area, default=None)
    if host is not None and covers(panels[host].panel.rect, region) < _HOST:
        region = panels[host].panel.rect
    # A copy is located to about one pixel of a small look; edges of panels are exact.
    rects = [(0, 0, *frame_size), *(p.panel.rect for p in panels)]
    region = _snapped(region, rects, 2 * frame_size[0] / view.looks.shape[2])
    others = [s for i in seats if i != host for s in panels[i].sitters if s.presence >= _SEEN]
    if any(_holds(region, *center(s.usual)) for s in others):
        return None, []
    return region, [host] if host is not None and covers(region, panels[host].panel.rect) >= _HOST else []


def _snapped(rect: Rect, others: Sequence[Rect], near: float) -> Rect:
    """Move each side of a rectangle to the nearest side of the others, if one is within `near` px."""

    def snap(value: int, lines: set[int]) -> int:
        line = min(lines, key=lambda at: abs(at - value))
        return line if abs(line - value) <= near else value

    x_lines, y_lines = {v for r in others for v in (r[0], r[2])}, {v for r in others for v in (r[1], r[3])}
    x0, y0, x1, y1 = rect
    return (snap(x0, x_lines), snap(y0, y_lines), snap(x1, x_lines), snap(y1, y_lines))


def _holds(rect: Rect, x: float, y: float) -> bool:
    return rect[0] <= x < rect[2] and rect[1] <= y < rect[3]
