"""A reaction mashup from its parts: film and people on one screen, encoded, with the truth beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from rmset.errors import UsageError
from rmset.progress import Progress, silent
from rmset.synth.arrays import Box, Image
from rmset.synth.clips import ClipSource, Detect, find_clips
from rmset.synth.encode import Encoder
from rmset.synth.faces import Person
from rmset.synth.film import GeneratedFilm, cut_film
from rmset.synth.identity import cast
from rmset.synth.layouts import LAYOUTS, IntBox, PanelLayout, capacity, make_layout
from rmset.synth.motion import draw_motion
from rmset.synth.panels import GeneratedPerson, PanelSource
from rmset.synth.script import write_script
from rmset.truth import Truth, TruthFace, TruthSegment


def compose_demo(
    output: Path,
    *,
    seconds: float = 16.0,
    size: tuple[int, int] = (1280, 720),
    people: int | None = None,
    layout: str = "3x3",
    fps: float = 30.0,
    seed: int = 0,
    progress: Progress = silent,
) -> Truth:
    """Compose a mashup of generated people who react to a generated film.

    Args:
        output: the video to write (.mp4); the truth goes beside it as `<stem>.truth.json`.
        seconds: length.
        size: (width, height) of the frame.
        people: how many; the layout's own number if None.
        layout: one of `LAYOUTS`.
        fps: frames per second.
        seed: the same seed gives the same bytes.
        progress: told of every frame.

    Raises:
        UsageError: a layout, size or length that cannot be.
        RmsetError: scikit-image is not installed, or the file cannot be written.
    """
    screen = make_layout(layout, people, size)
    frames = _frame_count(seconds, fps)
    story, moves, cuts = np.random.default_rng(seed).spawn(3)
    script = write_script(story, len(screen.panels), frames, fps)
    identities = cast("mashup", len(screen.panels), seed)
    sources: dict[int, PanelSource] = {}
    for number, identity in enumerate(identities):
        progress("painting people", number, len(identities))
        sources[number] = GeneratedPerson(Person(identity), number, script, draw_motion(moves), fps)
    film = GeneratedFilm(cut_film(cuts, frames, fps), seed)
    return compose(output, screen, sources, film, frames, fps, progress)


def compose_clips(
    output: Path,
    clips: Path,
    film: Path | None,
    *,
    seconds: float = 30.0,
    size: tuple[int, int] = (1920, 1080),
    people: int | None = None,
    layout: str = "3x3",
    fps: float = 30.0,
    letterbox: bool = False,
    pad: bool = False,
    detect: Detect | None = None,
    cache: Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Truth:
    """Compose a mashup of clips from files.

    Args:
        output: the video to write (.mp4); the truth goes beside it as `<stem>.truth.json`.
        clips: folder of videos, one person each; if some are called `person_*`, only those are taken.
        film: the video in the trigger panel; None for a generated film.
        seconds: length; clips and film go forwards and backwards until it is over.
        size: (width, height) of the frame.
        people: how many; as many as there are clips and cells if None.
        layout: one of `LAYOUTS`.
        fps: frames per second; clips are resampled to it.
        letterbox: show the whole film between bars instead of filling its panel.
        pad: show whole clips between black bars too, so that no face is cut by its panel.
        detect: RGB frame -> boxes float32 (N, 4), the exact detector that truth is taken from; without it the truth
            holds the layout alone.
        cache: folder in which detected boxes are remembered by the clip's sha256; one folder per detector.
        seed: of the generated film.
        progress: told of every clip and frame.

    Raises:
        UsageError: a layout, size, length or folder that cannot be, or fewer clips than people.
        VideoError: a clip that cannot be decoded.
    """
    paths = find_clips(clips)
    if people is None and layout in LAYOUTS:
        people = min(len(paths), capacity(layout))
    screen = make_layout(layout, people, size)
    if len(paths) < len(screen.panels):
        raise UsageError(
            f"expected {len(screen.panels)} clips in {clips}, found {len(paths)}; take fewer people or give more clips"
        )
    frames = _frame_count(seconds, fps)
    sources: dict[int, PanelSource] = {}
    for person, panel in screen.panels.items():
        sources[person] = ClipSource(
            paths[person], _size(panel), frames, fps, cover=not pad, detect=detect, cache=cache, progress=progress
        )
    shown: PanelSource
    if film is None:
        shown = GeneratedFilm(cut_film(np.random.default_rng(seed), frames, fps), seed)
    else:
        shown = ClipSource(film, _size(screen.trigger), frames, fps, cover=not letterbox, progress=progress)
    return compose(output, screen, sources, shown, frames, fps, progress)


def compose(
    output: Path,
    layout: PanelLayout,
    people: Mapping[int, PanelSource],
    film: PanelSource,
    frames: int,
    fps: float,
    progress: Progress = silent,
) -> Truth:
    """Compose whatever fills the panels; write video and truth, and return the truth."""
    if output.suffix.lower() != ".mp4":
        raise UsageError(f"expected an output called .mp4, found {output.name}")
    faces: list[TruthFace] = []
    screen = _Screen(layout)
    with Encoder(output, layout.frame_size, fps) as encoder:
        for index in range(frames):
            progress("composing frames", index, frames)
            # people first: an inset film lies over them
            shown = film.frame(index, _size(layout.trigger)).image
            screen.clear(shown)
            for person, panel in layout.panels.items():
                content = people[person].frame(index, _size(panel))
                screen.put(content.image, panel)
                if content.box is not None:
                    box = _moved(content.box, panel)
                    share = _visible(box, panel, layout.trigger)
                    if share > 0:
                        faces.append(TruthFace(index, person, box, content.expression, share))
            screen.put(shown, layout.trigger)
            encoder.write(screen.image)
    progress("composing frames", frames, frames)
    truth = Truth(
        fps=fps,
        frame_size=layout.frame_size,
        segments=(
            TruthSegment(0, frames, (_floats(layout.trigger),), {p: _floats(b) for p, b in layout.panels.items()}),
        ),
        faces=tuple(faces),
        loop_points={person: points for person in layout.panels if (points := people[person].loop_points(frames))},
    )
    truth.write(output.with_name(f"{output.stem}.truth.json"))
    return truth


class _Screen:
    """The frame that is being put together."""

    def __init__(self, layout: PanelLayout) -> None:
        self._layout = layout
        width, height = layout.frame_size
        self.image: Image = np.zeros((height, width, 3), np.uint8)
        self._masks: dict[tuple[int, int], Image] = {}

    def clear(self, film: Image) -> None:
        """Paint what lies between the panels."""
        if self._layout.background == "blurred":
            # a handful of pixels, enlarged: the cheapest blur there is
            few = cv2.GaussianBlur(cv2.resize(film, (32, 18), interpolation=cv2.INTER_AREA), (0, 0), 1.5)
            width, height = self._layout.frame_size
            cv2.resize(few // 2 + 12, (width, height), dst=self.image, interpolation=cv2.INTER_CUBIC)

    def put(self, picture: Image, box: IntBox) -> None:
        """Show a picture in a box of its size, with the layout's rounded corners."""
        x0, y0, x1, y1 = box
        if not self._layout.corner_radius:
            self.image[y0:y1, x0:x1] = picture
            return
        size = _size(box)
        if size not in self._masks:
            self._masks[size] = _rounded(size, self._layout.corner_radius)
        mask = self._masks[size]
        behind = cv2.multiply(self.image[y0:y1, x0:x1], 255 - mask, scale=1 / 255)
        self.image[y0:y1, x0:x1] = cv2.add(behind, cv2.multiply(picture, mask, scale=1 / 255))


def _rounded(size: tuple[int, int], radius: int) -> Image:
    """A mask (H, W, 3), 255 within a rectangle with round corners."""
    width, height = size
    x, y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    dx = np.maximum(radius - np.minimum(x, width - x), 0)
    dy = np.maximum(radius - np.minimum(y, height - y), 0)
    inside = np.clip(radius + 0.5 - np.hypot(dx, dy), 0, 1) * 255
    return np.ascontiguousarray(np.repeat(inside[..., None], 3, axis=2).astype(np.uint8))


def _frame_count(seconds: float, fps: float) -> int:
    if not 0 < fps <= 240:
        raise UsageError(f"expected a frame rate up to 240, found {fps:g}")
    frames = round(seconds * fps)
    if frames < 1:
        raise UsageError(f"expected a length of at least one frame, found {seconds:g} seconds")
    return frames


def _size(box: IntBox) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]


def _moved(box: Box, panel: IntBox) -> Box:
    """A box of the panel as a box of the frame."""
    return (box[0] + panel[0], box[1] + panel[1], box[2] + panel[0], box[3] + panel[1])


def _visible(box: Box, panel: IntBox, film: IntBox) -> float:
    """Share of a face that lies inside its panel and not under the film, 0 to 1."""
    inside = _common(box, panel)
    area = (box[2] - box[0]) * (box[3] - box[1])
    if inside is None or area <= 0:
        return 0.0
    hidden = _common(inside, film)
    return (_area(inside) - (_area(hidden) if hidden else 0.0)) / area


def _common(a: Box, b: Box) -> Box | None:
    box = (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    return box if box[0] < box[2] and box[1] < box[3] else None


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _floats(box: IntBox) -> Box:
    return (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
