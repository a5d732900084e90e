"""A world out of a set that names its subjects: panels keep their person, and people are split first.

    <out>/root        mashups of the unlabeled people, with truth: expression, identity, delay
    <out>/labelled    Parquet: train = labeled people, valid = tuning people, test = people never seen
    <out>/people.csv  subject, side, images, expressions
    <out>/world.json  the config

    set ── people.deal ──> sides      unlabeled people ── moments.play ──> panels ──> root

`fertrain semi --labeled parquet:OUT/labelled --unlabeled rmset:OUT/root` learns from it.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from rmset.errors import UsageError
from rmset.outputs import written_folder
from rmset.progress import Progress, silent
from rmset.root import Root
from rmset.synth.film import GeneratedFilm, cut_film
from rmset.synth.finish import Cut, Mashup
from rmset.synth.layouts import MIN_PANEL, grid
from rmset.synth.posed import write_posed_set
from rmset.synth.world import check_crowd, write_root

from ..datasets.base import Split
from ..datasets.parquet_set import write_parquet_set
from ..datasets.people import LABELED, TEST, TUNING, UNLABELED, Shares, deal, expressions_of, of_known_people, pooled
from ..datasets.registry import open_labeled
from ..errors import DatasetError
from ..files import write_json
from .moments import Actor, ActorPanel, Take, play, write_moments
from .scripted_mashup import WIDEN

GENERATED = "generated:"
"""Prefix of the number of generated people, in place of a data set."""
SPLITS = {"train": LABELED, "valid": TUNING, "test": TEST}
"""Split of the labeled set -> side of its people."""


@dataclass(frozen=True)
class IdentityConfig:
    """People, images and script of the world. The same config gives the same bytes."""

    labeled: str
    """A labeled data set that names its subjects, or `generated:N` for N generated people."""
    videos: int = 8
    """Number of mashups; candidates are within one. All unlabeled people are in one before any is in two, and people
    who share expressions are in the same."""
    people: int = 8
    """Panels per mashup, at most one for each unlabeled person."""
    seconds: float = 60.0
    """Length of a mashup, seconds."""
    fps: float = 10.0
    """Images per second of a panel."""
    max_delay: float = 0.5
    """Longest delay, seconds; each panel's delay is uniform from 0 to it, in whole frames."""
    noise: float = 0.1
    """Probability that a panel ignores a moment and shows any expression of its person."""
    size: int = 48
    """Side of the crops, px."""
    shares: Shares = field(default_factory=Shares)
    """Shares of the people on each side."""
    seed: int = 0
    """Seed of sides, script and images."""

    def __post_init__(self) -> None:
        check_crowd(self.videos, self.people, self.seconds, self.fps, self.max_delay, self.noise)
        if not 24 <= self.size <= 512:
            raise UsageError(f"world: expected crops of 24 to 512 px, found {self.size}")

    @property
    def generated(self) -> int | None:
        """Number of people to generate; None for a data set.

        Raises:
            UsageError: no whole number.
        """
        if not self.labeled.startswith(GENERATED):
            return None
        number = self.labeled.removeprefix(GENERATED)
        if not number.isdecimal():
            raise UsageError(f"expected a number of people as in generated:40, found '{self.labeled}'")
        return int(number)


@dataclass(frozen=True)
class IdentityWorld:
    """A written world."""

    root: Root
    """The mashups."""
    labeled: Path
    """The labeled set, of the kind `parquet`."""
    sides: dict[str, str]
    """Side of each person."""
    images: dict[str, dict[str, int]]
    """Images by expression and side."""
    panels: int
    """People in each mashup."""


def write_identity_world(out: Path, config: IdentityConfig, progress: Progress = silent) -> IdentityWorld:
    """Write root, labeled set and list of people into a new or empty folder; they appear whole or not at all.

    Raises:
        UsageError: the folder is not empty, or the set does not name its subjects.
        DatasetError: too few people, or too few expressions that several people have.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"expected a new or empty folder, found content in {out}; remove it or name another")
    with written_folder(out) as whole:
        labeled = config.labeled
        if (generated := config.generated) is not None:
            write_posed_set(whole / "posed", generated, size=config.size, seed=config.seed, progress=progress)
            labeled = f"csv:{whole / 'posed'}"
        images = of_known_people(pooled(open_labeled(labeled), "a world with identity"))
        expressions = expressions_of(images)
        sides = deal(expressions, config.shares, config.seed)
        side_of = np.asarray([sides[who] for who in images.groups["subject"]], dtype=np.str_)
        parts = {side: images.take(np.flatnonzero(side_of == side)) for side in (UNLABELED, *SPLITS.values())}
        actors = actors_of(parts[UNLABELED])
        panels = min(config.people, len(actors))
        write_root(whole / "root", _mashups(replace(config, people=panels), actors, images), Cut(config.size, WIDEN),
                   progress)  # fmt: skip
        (whole / "labelled").mkdir()
        splits = {name: replace(parts[side], split=name) for name, side in SPLITS.items() if len(parts[side])}
        write_parquet_set(whole / "labelled", splits, progress)
        _write_people(whole / "people.csv", images, sides, expressions)
        write_json(whole / "world.json", asdict(config))
    counts = {side: part.counts() for side, part in parts.items()}
    by_expression = {e: {side: counts[side][e] for side in counts} for e in images.order.classes}
    return IdentityWorld(Root(out / "root"), out / "labelled", sides, by_expression, panels)


def actors_of(images: Split) -> list[Actor]:
    """Return the people of some images, each with their sequences by expression.

    A sequence whose images have several labels is one take for each of them; without known sequences, all images of a
    person and expression are one take without order.
    """
    in_order = "sequence" in images.groups
    takes: dict[str, dict[str, dict[str, list[str]]]] = {}
    sequences = images.groups["sequence"] if in_order else [""] * len(images)
    for name, who, take, k in zip(images.names, images.groups["subject"], sequences, images.classes, strict=True):
        # an image of no known sequence has its own name as sequence
        known = take if take != name else ""
        takes.setdefault(who, {}).setdefault(images.order.classes[k], {}).setdefault(known, []).append(name)
    return [
        Actor(who, {
            expression: tuple(_take(names, in_order=bool(sequence)) for sequence, names in sorted(of.items()))
            for expression, of in sorted(shown.items())
        })
        for who, shown in sorted(takes.items())
    ]  # fmt: skip


def _take(names: Sequence[str], *, in_order: bool) -> Take:
    # frame numbers may lack leading zeros: x_9.png is before x_10.png
    return Take(tuple(sorted(names, key=lambda name: (len(name), name))), in_order)


def _mashups(config: IdentityConfig, actors: Sequence[Actor], images: Split) -> Iterator[tuple[str, Mashup]]:
    side = max(MIN_PANEL, config.size + config.size % 2)
    frames = round(config.seconds * config.fps)
    dealing, *draws = np.random.default_rng([config.seed, 24]).spawn(config.videos + 1)
    casts = cast_alike(dealing, actors, config.videos, config.people)
    for number, (rng, cast) in enumerate(zip(draws, casts, strict=True)):
        script, cuts, *own = rng.spawn(2 + len(cast))
        film = write_moments(script, frames, config.fps, shared_by([actors[i] for i in cast]))
        delays = {p: int(g.integers(round(config.max_delay * config.fps) + 1)) for p, g in enumerate(own)}
        people = {
            p: ActorPanel(
                play(own[p], actors[i], film, delay=delays[p], noise=config.noise), images.source,
                (config.seed, 25, number, p),
            )
            for p, i in enumerate(cast)
        }  # fmt: skip
        shown = GeneratedFilm(cut_film(cuts, frames, config.fps), config.seed)
        names = {p: actors[i].name for p, i in enumerate(cast)}
        yield (
            f"identity-{number:03d}",
            Mashup(grid(len(cast), (side, side)), people, shown, frames, config.fps, delays, names),
        )


def cast_alike(rng: np.random.Generator, actors: Sequence[Actor], videos: int, people: int) -> list[list[int]]:
    """Deal people to mashups, those who share expressions together: all once before any twice, none twice in one.

    Where everybody has few expressions, as in CK+, a random cast would have little to show in common.
    """
    deck: list[int] = []
    casts = []
    for _ in range(videos):
        cast: list[int] = []
        while len(cast) < people:
            free = [a for a in deck if a not in cast]
            if not free:
                deck += rng.permutation(len(actors)).tolist()
                continue
            # the first of the deck, then each time the person with most in common with the cast; the first of equals
            chosen = max(free, key=lambda a: sum(len(actors[a].takes.keys() & actors[b].takes.keys()) for b in cast))
            deck.remove(chosen)
            cast.append(chosen)
        casts.append(cast)
    return casts


def shared_by(cast: Sequence[Actor]) -> list[str]:
    """Return the expressions that half of the people of a mashup have, and two at least; else those that two have.

    Raises:
        DatasetError: no two people have one in common.
    """
    has = {e: sum(e in actor.takes for actor in cast) for e in sorted({e for actor in cast for e in actor.takes})}
    common = [e for e, n in has.items() if n >= max(2, len(cast) / 2)]
    shared = common if len(common) > 1 else [e for e, n in has.items() if n > 1]
    if not shared:
        raise DatasetError(
            f"expected an expression that two people of a mashup have, found none among {len(cast)} people; take more "
            "people in a mashup"
        )
    return shared


def _write_people(path: Path, images: Split, sides: Mapping[str, str], expressions: Mapping[str, int]) -> None:
    number = Counter(images.groups["subject"])
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("subject", "side", "images", "expressions"))
        writer.writerows((person, side, number[person], expressions[person]) for person, side in sides.items())
