"""Compose a reaction mashup: film and people on one screen, encoded, with the truth beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rmset.errors import UsageError
from rmset.progress import Progress, silent
from rmset.synth.acts import Act, AnySize, compose_acts
from rmset.synth.clips import ClipSource, Detect, find_clips
from rmset.synth.edits import choose, edited, extra_people
from rmset.synth.faces import Person
from rmset.synth.film import GeneratedFilm, cut_film
from rmset.synth.identity import cast
from rmset.synth.layouts import LAYOUTS, IntBox, PanelLayout, capacity, make_layout
from rmset.synth.motion import draw_motion
from rmset.synth.panels import GeneratedPerson, PanelSource
from rmset.synth.scene import FILM, scene_of
from rmset.synth.script import write_script
from rmset.synth.stage import compose_scene
from rmset.truth import Truth


def compose_demo(
    output: Path,
    *,
    seconds: float = 16.0,
    size: tuple[int, int] = (1280, 720),
    people: int | None = None,
    layout: str = "3x3",
    fps: float = 30.0,
    edits: Sequence[str] = (),
    seed: int = 0,
    progress: Progress = silent,
) -> Truth:
    """Compose a mashup of generated people who react to a generated film.

    Args:
        output: the video to write (.mp4); the truth goes beside it as `<stem>.truth.json`.
        seconds: length.
        size: (width, height) of the frame.
        people: number of people; the layout's own number if None.
        layout: one of `LAYOUTS`.
        fps: frames per second.
        edits: names of `rmset.synth.edits.EDITS`, or `random` alone.
        seed: the same seed gives the same bytes.
        progress: progress callback on frames.

    Raises:
        UsageError: an impossible layout, size or length.
        RmsetError: scikit-image is not installed, or the file cannot be written.
    """
    screen = make_layout(layout, people, size)
    frames = _frame_count(seconds, fps)
    chosen = choose(edits, seed, spare_people=1) if edits else ()
    count = len(screen.panels) + extra_people(chosen)
    story, moves, cuts = np.random.default_rng(seed).spawn(3)
    script = write_script(story, count, frames, fps)
    identities = cast("mashup", count, seed)
    sources: dict[int, PanelSource] = {}
    for number, identity in enumerate(identities):
        progress("painting people", number, len(identities))
        sources[number] = GeneratedPerson(Person(identity), number, script, draw_motion(moves), fps)
    if chosen:
        scene = edited(scene_of(screen, frames, fps), chosen, seed)
        film = GeneratedFilm(cut_film(cuts, frames + scene.ahead(FILM), fps), seed)
        return compose_scene(output, scene, sources, film, progress)
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
    edits: Sequence[str] = (),
    seed: int = 0,
    progress: Progress = silent,
) -> Truth:
    """Compose a mashup of clips from files.

    Args:
        output: the video to write (.mp4); the truth goes beside it as `<stem>.truth.json`.
        clips: folder of videos, one person each; if some are called `person_*`, only those are used.
        film: the video in the trigger panel; None for a generated film.
        seconds: length; clips and film play forwards and backwards to fill it.
        size: (width, height) of the frame.
        people: number of people; as many as there are clips and cells if None.
        layout: one of `LAYOUTS`.
        fps: frames per second; clips are resampled to it.
        letterbox: show the whole film between bars instead of filling its panel.
        pad: show whole clips between black bars too, so that no face is cut by its panel.
        detect: RGB frame -> boxes float32 (N, 4), the exact detector for the truth; without it the truth holds only
            the layout.
        cache: folder that stores detected boxes by the clip's sha256; one folder per detector.
        edits: names of `rmset.synth.edits.EDITS`, or `random` alone.
        seed: seed of the generated film and of the edits.
        progress: progress callback on clips and frames.

    Raises:
        UsageError: an impossible layout, size, length or folder, or fewer clips than people.
        VideoError: a clip cannot be decoded.
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
    chosen = choose(edits, seed, len(paths) - len(screen.panels)) if edits else ()
    if chosen:
        cast_of = paths[: len(screen.panels) + extra_people(chosen)]
        if len(cast_of) < len(screen.panels) + extra_people(chosen):
            raise UsageError(
                f"expected {len(screen.panels) + extra_people(chosen)} clips in {clips} for edits that add a "
                f"new person, found {len(paths)}; take fewer --people or give more clips"
            )
        scene = edited(scene_of(screen, frames, fps), chosen, seed)

        def clip(path: Path, ahead: int, *, whole: bool, find: Detect | None) -> AnySize:
            def make(size: tuple[int, int]) -> PanelSource:
                return ClipSource(
                    path, size, frames + ahead, fps, cover=not whole, detect=find, cache=cache, progress=progress
                )

            return AnySize(make)

        cast_sources = {p: clip(path, scene.ahead(p), whole=pad, find=detect) for p, path in enumerate(cast_of)}
        playing: PanelSource = (
            GeneratedFilm(cut_film(np.random.default_rng(seed), frames + scene.ahead(FILM), fps), seed)
            if film is None
            else clip(film, scene.ahead(FILM), whole=letterbox, find=None)
        )
        return compose_scene(output, scene, cast_sources, playing, progress)
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
    """Compose a mashup from panel sources; write video and truth, and return the truth."""
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
