"""World with ground truth: a root of generated mashups, and a labeled set of other people.

Its folder holds:

    root/        a root for every command; `root/truth/` holds expression, identity and delay
    labelled/    train, valid, test: no person in common with each other or with the root

Identities, expressions, delays and noise are known. So the quality of candidates, and the use that a training makes of
them, can be measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rmset.errors import UsageError
from rmset.outputs import written_folder
from rmset.progress import Progress, silent
from rmset.root import Root
from rmset.synth.faces import Person
from rmset.synth.film import GeneratedFilm, cut_film
from rmset.synth.finish import Cut, Mashup, finish
from rmset.synth.identity import cast
from rmset.synth.labeled import SplitSize, write_labeled_set
from rmset.synth.layouts import grid
from rmset.synth.minds import gather
from rmset.synth.motion import draw_motion
from rmset.synth.panels import GeneratedPerson

LABELED: Mapping[str, SplitSize] = {"train": SplitSize(24, 60), "valid": SplitSize(8, 20), "test": SplitSize(16, 40)}


@dataclass(frozen=True)
class WorldConfig:
    """Settings of a world; the same config gives the same bytes."""

    videos: int = 4
    people: int = 6
    """people in each video; no person is in two videos"""
    seconds: float = 30.0
    fps: float = 10.0
    """frames per second; each shows one face per person, and each is a time step of training"""
    max_delay: float = 0.5
    """longest delay, seconds; each person's delay is uniform from 0 to this, in whole frames"""
    noise: float = 0.1
    """probability that a person does not react to an event and shows an expression of their own"""
    size: int = 64
    """side of a crop, px"""
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageError: a value is out of range.
        """
        check_crowd(self.videos, self.people, self.seconds, self.fps, self.max_delay, self.noise)
        if not 24 <= self.size <= 512:
            raise UsageError(f"world: expected crops of 24 to 512 px, found {self.size}")

    @property
    def frames(self) -> int:
        """Frames of each video."""
        return round(self.seconds * self.fps)


def check_crowd(videos: int, people: int, seconds: float, fps: float, max_delay: float, noise: float) -> None:
    """Check the settings of a crowd.

    Raises:
        UsageError: a value is out of range.
    """
    if videos < 1 or not 1 <= people <= 100 or not 0 <= noise <= 1 or not 0 <= max_delay <= 5 or not 1 <= fps <= 60:
        raise UsageError(
            f"world: expected a video or more, 1 to 100 people, noise 0 to 1, a delay of 0 to 5 s and 1 to 60 frames "
            f"per second, found {videos} videos, {people} people, noise {noise:g}, delay {max_delay:g} s, {fps:g} fps"
        )
    if not 3 <= seconds < float("inf"):
        raise UsageError(f"world: expected 3 seconds or more, found {seconds:g}; events take two to three seconds")


def write_world(
    folder: Path, config: WorldConfig, *, labeled: Mapping[str, SplitSize] | None = LABELED, progress: Progress = silent
) -> Root:
    """Write a world into a new or empty folder; root and labeled set appear whole or not at all.

    Args:
        folder: new or empty folder for `root/` and `labelled/`.
        config: settings of the world.
        labeled: people and images per class of the labeled set; None for none.
        progress: progress callback on frames and faces.

    Raises:
        UsageError: the folder is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"expected a new or empty folder, found content in {folder}; remove it or name another")
    # Written as a whole: half a world could be mistaken for a whole one, and blocks the next run.
    with written_folder(folder) as whole:
        if labeled:
            write_labeled_set(whole / "labelled", labeled, size=config.size, seed=config.seed, progress=progress)
        write_root(whole / "root", mashups(config), Cut(config.size), progress)
    return Root(folder / "root")


def write_root(path: Path, videos: Iterator[tuple[str, Mashup]], cut: Cut, progress: Progress = silent) -> Root:
    """Compose videos into a new root, which appears at `path` when all are done.

    Raises:
        UsageError: `path` exists.
    """
    if path.exists():
        raise UsageError(f"expected no root yet at {path}, found one; remove it or name another")
    with written_folder(path) as whole:
        for name, mashup in videos:
            finish(Root(whole), name, mashup, cut, progress)
    return Root(path)


def mashups(config: WorldConfig) -> Iterator[tuple[str, Mashup]]:
    """Yield the names and videos of a world one by one."""
    # a face is half as high as its panel, so that crops are neither enlarged nor shrunk by much
    panel = (round(config.size * 2.7) // 2 * 2, max(48, config.size * 2))
    identities = cast("world", config.videos * config.people, config.seed)
    for number, rng in enumerate(np.random.default_rng([config.seed, 11]).spawn(config.videos)):
        story, moves, cuts = rng.spawn(3)
        crowd = gather(
            story, config.people, config.frames, config.fps, max_delay=round(config.max_delay * config.fps),
            noise=config.noise,
        )  # fmt: skip
        mine = identities[number * config.people : (number + 1) * config.people]
        people = {
            p: GeneratedPerson(Person(identity), p, crowd, draw_motion(moves), config.fps)
            for p, identity in enumerate(mine)
        }
        film = GeneratedFilm(cut_film(cuts, config.frames, config.fps), config.seed)
        delays = {p: crowd.film.reactors[p].delay for p in people}
        names = {p: identity.name for p, identity in enumerate(mine)}
        yield (
            f"world-{number:03d}",
            Mashup(grid(config.people, panel), people, film, config.frames, config.fps, delays, names),
        )
