"""A reaction mashup from its parts: film and people on one screen, encoded, with the truth beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rmset.errors import UsageError
from rmset.progress import Progress, silent
from rmset.synth.acts import Act, compose_acts
from rmset.synth.clips import ClipSource, Detect, find_clips
from rmset.synth.faces import Person
from rmset.synth.film import GeneratedFilm, cut_film
from rmset.synth.identity import cast
from rmset.synth.layouts import LAYOUTS, IntBox, PanelLayout, capacity, make_layout
from rmset.synth.motion import draw_motion
from rmset.synth.panels import GeneratedPerson, PanelSource
from rmset.synth.script import write_script
from rmset.truth import Truth


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
    return compose_acts(output, (Act(layout, frames),), people, film, fps, progress)


def _frame_count(seconds: float, fps: float) -> int:
    if not 0 < fps <= 240:
        raise UsageError(f"expected a frame rate up to 240, found {fps:g}")
    frames = round(seconds * fps)
    if frames < 1:
        raise UsageError(f"expected a length of at least one frame, found {seconds:g} seconds")
    return frames


def _size(box: IntBox) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]
