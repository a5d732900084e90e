"""A root with real pixels and known truth: panels show labeled images that follow a scripted expression.

    script: expression by person and frame -> a training image of it for each frame -> a root like those of `rmset
        world`

Each frame shows a different image, so a "person" here has no identity: candidates share only the expression. A gain on
such a root is a gain on photographs, with known purity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rmset.errors import UsageError
from rmset.progress import Progress, silent
from rmset.root import Root
from rmset.synth.expressions import EXPRESSIONS
from rmset.synth.film import GeneratedFilm, cut_film
from rmset.synth.finish import Cut, Mashup
from rmset.synth.layouts import MIN_PANEL, grid
from rmset.synth.minds import Story, gather
from rmset.synth.panels import PanelFrame
from rmset.synth.world import check_crowd, write_root

from ..datasets.base import LabeledSet, Split
from ..datasets.images import decode, resized
from ..datasets.registry import open_labeled, rule_for
from ..datasets.sources import Bytes
from ..datasets.subsets import named_in
from ..errors import DatasetError

NEUTRAL = EXPRESSIONS[0]
WIDEN = 0.31


@dataclass(frozen=True)
class ScriptedConfig:
    """Images and script of the mashup. The same config gives the same bytes."""

    labeled: str
    """A labeled data set; its training images are shown, and no others."""
    rule: str = "majority"
    """Rule that selects images by votes; labels should be certain here."""
    without: str | None = None
    """An index file (`labels.csv` of a run) whose images are left out, so that this run sees only new images."""
    videos: int = 8
    """Number of mashups; candidates are within one."""
    people: int = 8
    """Panels per mashup."""
    seconds: float = 60.0
    """Length of a mashup, seconds."""
    fps: float = 10.0
    """Images per second of a panel."""
    max_delay: float = 0.5
    """Longest delay, seconds; each panel's delay is uniform from 0 to it, in whole frames."""
    noise: float = 0.1
    """Probability that a panel ignores an event and shows another expression."""
    size: int = 48
    """Side of the crops, px; FERPlus's own."""
    seed: int = 0
    """Seed of script and images."""

    def __post_init__(self) -> None:
        check_crowd(self.videos, self.people, self.seconds, self.fps, self.max_delay, self.noise)
        if not 24 <= self.size <= 512:
            raise UsageError(f"world: expected crops of 24 to 512 px, found {self.size}")


def whole_panel(source: Bytes, name: str, expression: str, size: tuple[int, int]) -> PanelFrame:
    """Resize an image to a panel; its widened box is the whole panel, so the crop is the image itself."""
    image = resized(decode(source.get(name), name, gray=False), size[0])
    margin = size[0] * (1 - 1 / (1 + WIDEN)) / 2
    return PanelFrame(image, (margin, 0.0, size[0] - margin, float(size[1])), expression)


class ShownImages:
    """A panel that shows, in each frame, an image of the scripted expression."""

    def __init__(
        self, story: Story, person: int, names: Mapping[str, Sequence[str]], source: Bytes, seed: Sequence[int]
    ) -> None:
        """Take the images of each expression as `names`; `seed`, person and frame choose the one shown."""
        self._story, self._person, self._names, self._source = story, person, names, source
        self._seed = list(seed)

    def frame(self, index: int, size: tuple[int, int]) -> PanelFrame:
        """Return an image of the scripted expression."""
        expression = self._story.label_at(self._person, index)
        names = self._names[expression]
        name = names[int(np.random.default_rng([*self._seed, self._person, index]).integers(len(names)))]
        return whole_panel(self._source, name, expression, size)

    def loop_points(self, frames: int) -> tuple[int, ...]:  # noqa: ARG002 - the protocol's argument
        """Return None: images of successive frames are unrelated."""
        return ()


def write_scripted(path: Path, config: ScriptedConfig, progress: Progress = silent) -> tuple[Root, dict[str, int]]:
    """Write the root.

    Returns:
        The root, and the number of available images of each expression.

    Raises:
        DatasetError: the set has no neutral faces, or only neutral ones; or images to leave out are not in the set.
    """
    data = open_labeled(config.labeled)
    shown = _images(data, config)
    names = {
        c: tuple(np.asarray(shown.names)[shown.classes == k].tolist())
        for k, c in enumerate(shown.order.classes)
        if c in EXPRESSIONS and (shown.classes == k).any()
    }
    if NEUTRAL not in names or len(names) < 2:
        raise DatasetError(
            f"expected training images of {config.labeled} that are neutral, and of another of "
            f"{', '.join(EXPRESSIONS[1:])}, found {', '.join(names) or 'none of these'}"
        )
    root = write_root(path, _mashups(config, names, shown.source), Cut(config.size, WIDEN), progress)
    return root, {name: len(images) for name, images in names.items()}


def _images(data: LabeledSet, config: ScriptedConfig) -> Split:
    train = data.load("train", rule_for(data, config.rule))
    if config.without is None:
        return train
    left_out = set(named_in(Path(config.without)))
    # under any rule, because the run may have used another
    strange = left_out.difference(*(data.load("train", rule).names for rule in data.rules()))
    if strange:
        raise DatasetError(
            f"expected training images of {config.labeled} in {config.without}, found {len(strange)} others, first "
            f"{min(strange)}; a run's images are known by the names of the set that it was given"
        )
    return train.take([row for row, name in enumerate(train.names) if name not in left_out])


def _mashups(config: ScriptedConfig, names: Mapping[str, Sequence[str]], source: Bytes) -> Iterator[tuple[str, Mashup]]:
    side = max(MIN_PANEL, config.size + config.size % 2)
    frames = round(config.seconds * config.fps)
    others = tuple(e for e in EXPRESSIONS[1:] if e in names)
    for number, rng in enumerate(np.random.default_rng([config.seed, 12]).spawn(config.videos)):
        story, cuts = rng.spawn(2)
        crowd = gather(
            story, config.people, frames, config.fps, max_delay=round(config.max_delay * config.fps),
            noise=config.noise, expressions=others,
        )  # fmt: skip
        people = {p: ShownImages(crowd, p, names, source, (config.seed, number)) for p in range(config.people)}
        film = GeneratedFilm(cut_film(cuts, frames, config.fps), config.seed)
        delays = {p: crowd.film.reactors[p].delay for p in people}
        yield (
            f"scripted-{number:03d}",
            Mashup(grid(config.people, (side, side)), people, film, frames, config.fps, delays),
        )
