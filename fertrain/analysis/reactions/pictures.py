"""Pictures of a root's reactions: film and faces of a moment, and the course of a video."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from rmset.errors import RmsetError
from rmset.geometry import pixels
from rmset.inspect.preview import color, label
from rmset.parts.frames import Image
from rmset.read.crops import CropStore
from rmset.read.video import reader_of
from rmset.root import Root

from .predictions import Predicted
from .timeline import Moment, Timeline

_HEIGHT, _GAP = 132, 6
_MOST_FACES = 12


def film_at(root: Root, video_id: str, frame: int) -> Image | None:
    """Return the largest trigger region of a frame, or the whole frame without one; None if it cannot be decoded."""
    try:
        with reader_of(root, video_id) as reader:
            found = next(reader.sample([frame]), None)
        if found is None:
            return None
        image = found.rgb
        segments = root.layout(video_id).segments if root.has_layout(video_id) else ()
    except RmsetError:
        return None
    boxes = [r.box for s in segments if s.start_frame <= frame < s.end_frame for r in s.trigger_regions]
    if not boxes:
        return image
    largest = max(boxes, key=lambda b: (b[2] - b[0]) * (b[3] - b[1]))
    x0, y0, x1, y1 = pixels(largest, (image.shape[1], image.shape[0]))
    return image[y0:y1, x0:x1] if x1 > x0 and y1 > y0 else image


def moment_picture(root: Root, store: CropStore, video: Predicted, moment: Moment, labels: tuple[str, ...]) -> Image:
    """Draw the film and every face of a moment side by side, uint8 (H, W, 3)."""
    tiles = []
    if (film := film_at(root, moment.video_id, moment.frame)) is not None:
        tiles.append(_high(film, max_width=3 * _HEIGHT))
    rows = np.flatnonzero(video.frame == moment.frame)[:_MOST_FACES]
    for row, image in zip(rows.tolist(), store.images(video.rows[rows]), strict=True):
        face = _high(image)
        person = int(video.person[row])
        label(face, f"{person} {labels[int(video.probabilities[row].argmax())]}", (0, _HEIGHT - 26), color(person))
        tiles.append(face)
    width = sum(t.shape[1] + _GAP for t in tiles) + _GAP
    sheet = np.full((_HEIGHT + 2 * _GAP, max(width, _HEIGHT), 3), 24, np.uint8)
    left = _GAP
    for tile in tiles:
        sheet[_GAP : _GAP + _HEIGHT, left : left + tile.shape[1]] = tile
        left += tile.shape[1] + _GAP
    return sheet


def _high(image: Image, max_width: int = _HEIGHT) -> Image:
    """Scale to the height of the sheet, at most `max_width` wide; the rest is left out in the middle."""
    width = max(1, round(image.shape[1] * _HEIGHT / image.shape[0]))
    scaled = np.asarray(cv2.resize(image, (width, _HEIGHT), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    left = max(0, width - max_width) // 2
    return np.ascontiguousarray(scaled[:, left : left + max_width])


def video_figure(line: Timeline, labels: tuple[str, ...], found: list[Moment], window: int) -> Figure:
    """Plot each person's most probable expression, mean probabilities, and agreement with the chosen moments."""
    seconds = line.time_ms / 1000
    people = sorted(line.shown)
    cast = np.stack([_tops(line.shown[p]) for p in people])
    figure = Figure(figsize=(10, 4.4 + 0.18 * len(people)), layout="constrained")
    rows, course, together = figure.subplots(3, 1, sharex=True, height_ratios=(0.6 + 0.12 * len(people), 1.4, 1))
    extent = (float(seconds[0]), float(seconds[-1]) + 1e-3, len(people) - 0.5, -0.5)
    shown = np.ma.masked_less(cast, 0)
    rows.imshow(shown, aspect="auto", extent=extent, cmap="tab10", vmin=0, vmax=9, interpolation="nearest")
    rows.set_yticks(range(len(people)), [str(p) for p in people], fontsize=7)
    rows.set(ylabel="person")
    mean, spread = line.mean, line.spread
    for k, name in enumerate(labels):
        course.plot(seconds, mean[:, k], color=f"C{k % 10}", lw=1.2, label=name)
        low, high = mean[:, k] - spread[:, k], mean[:, k] + spread[:, k]
        course.fill_between(seconds, low, high, color=f"C{k % 10}", alpha=0.08, lw=0)
    course.set(ylabel="mean probability", ylim=(0, 1))
    course.legend(frameon=False, fontsize=7, ncols=len(labels), loc="upper center", bbox_to_anchor=(0.5, 1.16))
    together.plot(seconds, line.smooth_agreement(window), color="#1f6f8b", lw=1.2)
    together.axhline(0, color="#999999", lw=0.8)
    for moment in found:
        together.axvline(moment.time_ms / 1000, color="#c8553d", lw=1, ls="--")
    together.set(xlabel="time, s", ylabel="agreement")
    for axes in (rows, course, together):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(line.video_id, fontsize=10)
    return figure


def _tops(own: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Most probable class of each step, (T,); -1 where unseen."""
    known = ~np.isnan(own[:, 0])
    found = np.full(len(own), -1, dtype=np.int64)
    found[known] = own[known].argmax(axis=1)
    return found
