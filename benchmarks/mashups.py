"""Mashups for the layout benchmark: 36 with ground truth, of which 26 for tuning and ten held out.

Two more groups are for tuning too, and reported separately: `twice`, twelve that show the film twice in further ways,
and `kinds`, 26 of the hardest kinds (blurred backgrounds, insets, rows, the film twice). The split is fixed here, by
name. People and films come from the folder `$RMSET_TEST_DATA/clips` and from the generator; composed videos are cached
outside the repository.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rmset.synth.acts import Act, AnySize, compose_acts
from rmset.synth.clips import ClipSource, find_clips
from rmset.synth.faces import Person
from rmset.synth.film import GeneratedFilm, cut_film
from rmset.synth.identity import cast
from rmset.synth.layouts import IntBox, PanelLayout, make_layout
from rmset.synth.motion import draw_motion
from rmset.synth.panels import GeneratedPerson, PanelFrame, PanelSource
from rmset.synth.script import write_script

HD, FULL = (1280, 720), (1920, 1080)


@dataclass(frozen=True)
class Again:
    """A second place of the film, over other panels."""

    box: IntBox
    """px of the frame"""
    later_s: float = 0.0
    """how far it lags behind the first"""
    mirrored: bool = False


CORNER = Again((16, 16, 336, 196))


@dataclass(frozen=True)
class Mashup:
    """One composed video."""

    name: str
    layout: str
    people: int
    film: str = "generated"
    """`generated`, or the stem of a clip"""
    cast: str = "generated"
    """`generated`, `clips`, or `mixed` (clips first)"""
    pad: bool = False
    """show clips whole between black bars"""
    intro: str = ""
    """`title` or `film` (the film over the whole screen) for three seconds"""
    outro: bool = False
    then: str = ""
    """the layout from half-way on"""
    late: bool = False
    """the last person joins after 40 % of the time"""
    again: Again | None = None
    size: tuple[int, int] = HD
    seconds: float = 13.0
    fps: float = 30.0
    split: str = "tuning"
    """`tuning`, `held-out`, or `twice` or `kinds` (tuning too)"""


MASHUPS: tuple[Mashup, ...] = (
    Mashup("grid-a", "3x3", 8),
    Mashup("grid-b", "3x3", 7, "film_with_face", "clips"),
    Mashup("grid-c", "3x3", 8, "film_street_faces", "mixed", pad=True),
    Mashup("grid-d", "3x3", 8, "film_without_face", "generated", intro="title"),
    Mashup("six-a", "2x3", 5, "film_with_face", "clips", pad=True),
    Mashup("six-b", "2x3", 5, "film_without_face", "clips"),
    Mashup("six-c", "2x3", 5, late=True),
    Mashup("six-d", "2x3", 4, "film_street_faces", "generated", size=FULL, seconds=10, fps=25),
    Mashup("four-a", "2x2", 3, "film_with_face", "clips"),
    Mashup("four-b", "2x2", 3, "film_street_faces", "clips", pad=True),
    Mashup("four-c", "2x2", 3, intro="title", outro=True),
    Mashup("four-d", "2x2", 3, "film_without_face", "generated", then="side"),
    Mashup("side-a", "side", 6, "film_with_face", "clips"),
    Mashup("side-b", "side", 4, "film_without_face", "clips", intro="title"),
    Mashup("side-c", "side", 8, late=True, size=FULL, seconds=12),
    Mashup("side-d", "side", 5, "film_street_faces", "mixed", then="2x3"),
    Mashup("inset-a", "inset", 4, "film_with_face", "clips"),
    Mashup("inset-b", "inset", 6),
    Mashup("inset-c", "inset", 2, "film_street_faces", "clips", fps=24),
    Mashup("bordered-a", "bordered", 8, "film_with_face", "mixed"),
    Mashup("bordered-b", "bordered", 5, intro="film"),
    Mashup("bordered-c", "bordered", 3, "film_without_face", "clips", size=FULL, seconds=10),
    Mashup("row-a", "row", 4, "film_with_face", "clips"),
    Mashup("row-b", "row", 5, again=CORNER),
    Mashup("center-a", "center", 4, "film_street_faces", "clips"),
    Mashup("center-b", "center", 6, "generated", "generated", outro=True),
    # Held out: their truth is not used for tuning.
    Mashup("held-grid", "3x3", 8, "film_with_face", "mixed", intro="title", split="held-out"),
    Mashup("held-six", "2x3", 5, "film_street_faces", "clips", then="side", split="held-out"),
    Mashup("held-four", "2x2", 3, "generated", "clips", pad=True, split="held-out"),
    Mashup("held-side", "side", 7, "film_street_faces", "clips", size=FULL, seconds=10, split="held-out"),
    Mashup("held-inset", "inset", 5, "film_without_face", "mixed", late=True, split="held-out"),
    Mashup("held-bordered", "bordered", 6, "film_street_faces", "generated", split="held-out"),
    Mashup("held-row", "row", 6, "film_without_face", "generated", intro="title", split="held-out"),
    Mashup("held-center", "center", 4, "film_with_face", "generated", split="held-out"),
    Mashup("held-twice", "row", 3, "film_with_face", "clips", again=CORNER, split="held-out"),
    Mashup("held-late", "3x3", 7, "generated", "mixed", late=True, outro=True, fps=25, split="held-out"),
    # The film twice: over an empty cell, a person, itself or the background; delayed, mirrored.
    Mashup("twice-row-a", "row", 4, "film_street_faces", "clips", again=Again((1000, 12, 1264, 160)), split="twice"),
    Mashup("twice-row-b", "row", 4, "film_without_face", "clips", again=Again((20, 24, 276, 168)), split="twice"),
    Mashup("twice-row-c", "row", 5, "film_with_face", "clips", again=Again((940, 30, 1260, 210)), split="twice"),
    Mashup("twice-row-d", "row", 3, "film_with_face", "generated", again=Again((24, 260, 344, 440)), split="twice"),
    Mashup("twice-grid-a", "3x3", 7, "film_with_face", "clips", again=Again((852, 480, 1280, 720)), split="twice"),
    Mashup(
        "twice-grid-b",
        "3x3",
        7,
        "film_street_faces",
        "mixed",
        again=Again((852, 480, 1280, 720), mirrored=True),
        split="twice",
    ),
    Mashup("twice-six", "2x3", 4, again=Again((852, 360, 1280, 720), later_s=0.6), split="twice"),
    Mashup("twice-four", "2x2", 3, "film_with_face", "clips", again=Again((930, 400, 1250, 580)), split="twice"),
    Mashup("twice-side-a", "side", 5, "film_street_faces", "clips", again=Again((30, 500, 350, 680)), split="twice"),
    Mashup("twice-side-b", "side", 4, again=Again((40, 36, 296, 180), mirrored=True), split="twice"),
    Mashup("twice-bordered", "bordered", 5, "film_with_face", "mixed", again=Again((0, 0, 256, 144)), split="twice"),
    Mashup(
        "twice-center",
        "center",
        4,
        "film_without_face",
        "clips",
        again=Again((20, 20, 260, 156), later_s=1.0),
        split="twice",
    ),
    *(
        replace(mashup, seconds=8, split="kinds")
        for mashup in (
            # Cells that stay empty over a blurred background.
            Mashup("kinds-bordered-a", "bordered", 6, "film_without_face"),
            Mashup("kinds-bordered-b", "bordered", 4, "film_street_faces", "mixed"),
            Mashup("kinds-bordered-c", "bordered", 9, "film_with_face", "mixed"),
            Mashup("kinds-bordered-d", "bordered", 6, "noface_face", "clips"),
            Mashup("kinds-bordered-e", "bordered", 7),
            Mashup("kinds-bordered-f", "bordered", 9, "film_street_faces", "mixed"),
            Mashup("kinds-bordered-g", "bordered", 6, "film_with_face", "clips"),
            Mashup("kinds-bordered-h", "bordered", 9, "face_noface"),
            Mashup("kinds-bordered-i", "bordered", 10, "film_street_faces", size=FULL),
            Mashup("kinds-bordered-j", "bordered", 4, "film_street_faces"),
            Mashup("kinds-bordered-k", "bordered", 5, "film_street_faces"),
            Mashup("kinds-bordered-l", "bordered", 7, "film_street_faces"),
            Mashup("kinds-bordered-m", "bordered", 8, "film_street_faces"),
            # Insets, and a person who joins.
            Mashup("kinds-inset-a", "inset", 5, "film_with_face", "clips", late=True),
            Mashup("kinds-inset-b", "inset", 3, "generated", "mixed", late=True),
            Mashup("kinds-inset-c", "inset", 6, "film_street_faces", "mixed", late=True),
            # Rows over a blurred background.
            Mashup("kinds-row-a", "row", 6, "film_with_face", intro="title"),
            Mashup("kinds-row-b", "row", 5, "film_street_faces"),
            Mashup("kinds-row-c", "row", 3, "film_without_face", "mixed", intro="title"),
            Mashup("kinds-row-d", "row", 7, "noface_face", "clips"),
            # Twice in a row.
            Mashup("kinds-twice-a", "row", 3, "film_street_faces", "clips", again=Again((24, 20, 312, 182))),
            Mashup("kinds-twice-b", "row", 3, "face_noface", "clips", again=Again((940, 24, 1260, 204))),
            Mashup("kinds-twice-c", "row", 2, "generated", "mixed", again=Again((12, 12, 332, 192))),
            Mashup("kinds-twice-d", "row", 4, "film_without_face", again=Again((8, 40, 296, 202))),
            Mashup("kinds-twice-e", "row", 4, "film_with_face", "mixed", again=Again((40, 30, 328, 192))),
            Mashup("kinds-twice-f", "row", 5, "face_noface", again=Again((952, 10, 1272, 190))),
        )
    ),
)


def compose(mashup: Mashup, clips: Path, cache: Path) -> Path:
    """Return the mashup's video, composed unless it is in the cache, with its truth beside it."""
    output = cache / f"{mashup.name}.mp4"
    if output.exists() and output.with_name(f"{mashup.name}.truth.json").exists():
        return output
    acts = _acts(mashup)
    frames = sum(act.frames for act in acts)
    seed = sum(mashup.name.encode()) * 7919 % 100_003
    story, moves, cuts = np.random.default_rng(seed).spawn(3)
    script = write_script(story, mashup.people, frames, mashup.fps)
    files = () if mashup.cast == "generated" else find_clips(clips)
    # Another order for each video, so that no clip always sits in the same place.
    order = np.random.default_rng(seed).permutation(len(files))
    people: dict[int, PanelSource] = {}
    for number, identity in enumerate(cast("mashup", mashup.people, seed)):
        if number < len(files):
            people[number] = _clip(files[order[number]], frames, mashup, cover=not mashup.pad)
        else:
            people[number] = GeneratedPerson(Person(identity), number, script, draw_motion(moves), mashup.fps)
    film: PanelSource = GeneratedFilm(cut_film(cuts, frames, mashup.fps), seed)
    if mashup.film != "generated":
        film = _clip(next(clips.glob(f"{mashup.film}.*")), frames, mashup, cover=True)
    compose_acts(output, acts, people, film, mashup.fps, again=_repeated(film, mashup))
    return output


def _clip(path: Path, frames: int, mashup: Mashup, *, cover: bool) -> AnySize:
    return AnySize(lambda size: ClipSource(path, size, frames, mashup.fps, cover=cover))


@dataclass(frozen=True)
class _Repeated:
    """Content of the film's second place."""

    film: PanelSource
    later: int
    """frames"""
    mirrored: bool

    def frame(self, index: int, size: tuple[int, int]) -> PanelFrame:
        # Before its start it runs backwards: a still picture would be another layout.
        shown = self.film.frame(abs(index - self.later), size)
        return PanelFrame(np.ascontiguousarray(shown.image[:, ::-1])) if self.mirrored else shown

    def loop_points(self, frames: int) -> tuple[int, ...]:
        return self.film.loop_points(frames)


def _repeated(film: PanelSource, mashup: Mashup) -> PanelSource | None:
    if mashup.again is None:
        return None
    return _Repeated(film, round(mashup.again.later_s * mashup.fps), mashup.again.mirrored)


def _acts(mashup: Mashup) -> list[Act]:
    layout = make_layout(mashup.layout, mashup.people, mashup.size)
    if mashup.again:
        layout = replace(layout, again=mashup.again.box)
    three = round(3 * mashup.fps)
    total = round(mashup.seconds * mashup.fps)
    acts = []
    if mashup.intro == "title":
        acts.append(Act(layout, three, title="TRY NOT TO LAUGH"))
    elif mashup.intro == "film":
        acts.append(Act(PanelLayout("film", mashup.size, (0, 0, *mashup.size), {}), three))
    if mashup.late:
        acts.append(Act(layout, round(0.4 * total), absent=frozenset({mashup.people - 1})))
        acts.append(Act(layout, total - round(0.4 * total)))
    elif mashup.then:
        acts.append(Act(layout, total // 2))
        acts.append(Act(make_layout(mashup.then, mashup.people, mashup.size), total - total // 2))
    else:
        acts.append(Act(layout, total))
    if mashup.outro:
        acts.append(Act(layout, three, title="THANKS FOR WATCHING"))
    return acts


def cache_folder() -> Path:
    """Folder of composed mashups: `$RMSET_BENCH_CACHE`, else the user's cache."""
    given = os.environ.get("RMSET_BENCH_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "rmset" / "bench-mashups"


def clips_folder() -> Path:
    """Folder of the clips.

    Raises:
        SystemExit: `$RMSET_TEST_DATA` is not set.
    """
    if "RMSET_TEST_DATA" not in os.environ:
        raise SystemExit("expected RMSET_TEST_DATA to name the folder with clips/, found it unset; set it")
    return Path(os.environ["RMSET_TEST_DATA"]) / "clips"


if __name__ == "__main__":
    cache_folder().mkdir(parents=True, exist_ok=True)
    for chosen in [m for m in MASHUPS if not sys.argv[1:] or m.name in sys.argv[1:]]:
        print(compose(chosen, clips_folder(), cache_folder()), flush=True)
