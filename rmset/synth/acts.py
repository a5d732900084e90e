"""Mashups in acts (title, grid, another grid, a person who joins); each act is one segment of the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rmset.errors import UsageError
from rmset.progress import Progress, silent
from rmset.synth.arrays import Box
from rmset.synth.encode import Encoder
from rmset.synth.layouts import IntBox, PanelLayout
from rmset.synth.panels import PanelFrame, PanelSource
from rmset.synth.screen import Screen, placeholder, title_card
from rmset.truth import Truth, TruthFace, TruthSegment


@dataclass(frozen=True)
class Act:
    """Frames with one constant layout."""

    layout: PanelLayout
    frames: int
    absent: frozenset[int] = frozenset()
    """people of the layout who have not joined yet; their panels show a still card"""
    title: str | None = None
    """text of a title card shown instead of film and people"""

    def truth(self, start: int) -> TruthSegment:
        """Return the truth of this act when it begins at frame `start`."""
        if self.title is not None:
            return TruthSegment(start, start + self.frames, (), {})
        panels = {p: _floats(b) for p, b in self.layout.panels.items() if p not in self.absent}
        return TruthSegment(start, start + self.frames, tuple(_floats(b) for b in self.layout.triggers), panels)


class AnySize:
    """A source for panels of any size, from a function that makes a source for one size."""

    def __init__(self, make: Callable[[tuple[int, int]], PanelSource]) -> None:
        self._make = make
        self._made: dict[tuple[int, int], PanelSource] = {}

    def frame(self, index: int, size: tuple[int, int]) -> PanelFrame:
        """Return the content at a frame of the mashup."""
        if size not in self._made:
            self._made[size] = self._make(size)
        return self._made[size].frame(index, size)

    def loop_points(self, frames: int) -> tuple[int, ...]:
        """Return the loop points of any of the sources: they do not depend on size."""
        return next((s.loop_points(frames) for s in self._made.values()), ())


def compose_acts(
    output: Path,
    acts: Sequence[Act],
    people: Mapping[int, PanelSource],
    film: PanelSource,
    fps: float,
    progress: Progress = silent,
    *,
    again: PanelSource | None = None,
) -> Truth:
    """Compose acts one after another; write video and truth, and return the truth.

    Args:
        output: the MP4; the truth goes beside it.
        acts: acts in order of time.
        people: person -> content of their panel.
        film: content of the trigger panel.
        fps: frames per second of the video.
        progress: progress callback on frames.
        again: content of a layout's second place of the film; the film itself if None.

    Raises:
        UsageError: acts of different frame sizes, none at all, or an output that is no MP4.
    """
    if output.suffix.lower() != ".mp4":
        raise UsageError(f"expected an output called .mp4, found {output.name}")
    sizes = {act.layout.frame_size for act in acts}
    if len(sizes) != 1:
        raise UsageError(f"expected acts of one frame size, found {sorted(sizes)}; make their layouts for one size")
    (frame_size,) = sizes
    total = sum(act.frames for act in acts)
    segments: list[TruthSegment] = []
    faces: list[TruthFace] = []
    with Encoder(output, frame_size, fps) as encoder:
        for act in acts:
            start = segments[-1].end_frame if segments else 0
            segments.append(act.truth(start))
            screen = Screen(act.layout)
            for index in range(start, start + act.frames):
                progress("composing frames", index, total)
                if act.title is not None:
                    encoder.write(title_card(frame_size, (index - start) / fps, act.title))
                    continue
                faces += _draw(screen, act, people, (film, again or film), index)
                encoder.write(screen.image)
    progress("composing frames", total, total)
    shown = {p for act in acts for p in act.layout.panels}
    points = {person: people[person].loop_points(total) for person in sorted(shown)}
    truth = Truth(fps, frame_size, tuple(segments), tuple(faces), {p: at for p, at in points.items() if at})
    truth.write(output.with_name(f"{output.stem}.truth.json"))
    return truth


def _draw(
    screen: Screen, act: Act, people: Mapping[int, PanelSource], films: tuple[PanelSource, PanelSource], index: int
) -> list[TruthFace]:
    """Draw one frame, with `films` in the film's one or two places; return its faces."""
    faces = []
    layout, (film, again) = act.layout, films
    shown = film.frame(index, _size(layout.trigger)).image
    screen.clear(shown)
    # people first: an inset film lies over them
    for person, panel in layout.panels.items():
        if person in act.absent:
            screen.put(placeholder(_size(panel)), panel)
            continue
        content = people[person].frame(index, _size(panel))
        screen.put(content.image, panel)
        if content.box is not None:
            box = _moved(content.box, panel)
            share = _visible(box, panel, layout.triggers)
            if share > 0:
                faces.append(TruthFace(index, person, box, content.expression, share))
    screen.put(shown, layout.trigger)
    if layout.again is not None:
        screen.put(again.frame(index, _size(layout.again)).image, layout.again)
    return faces


def _size(box: IntBox) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]


def _moved(box: Box, panel: IntBox) -> Box:
    """Return a box of the panel as a box of the frame."""
    return (box[0] + panel[0], box[1] + panel[1], box[2] + panel[0], box[3] + panel[1])


def _visible(box: Box, panel: IntBox, films: Sequence[IntBox]) -> float:
    """Share of a face that lies inside its panel and not under the film, 0 to 1."""
    inside = _common(box, panel)
    area = (box[2] - box[0]) * (box[3] - box[1])
    if inside is None or area <= 0:
        return 0.0
    hidden = sum(_area(under) for film in films if (under := _common(inside, film)))
    return max(0.0, (_area(inside) - hidden) / area)


def _common(a: Box, b: Box) -> Box | None:
    box = (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    return box if box[0] < box[2] and box[1] < box[3] else None


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _floats(box: IntBox) -> Box:
    return (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
