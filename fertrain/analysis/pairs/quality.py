"""Quality of a root's pairs as predicted by a finished run, and compared with the ground truth if there is one.

every face -> probabilities -> expressions over time, and delays between people
some anchors -> P, N, refined by the run's own similarity -> share of candidates with their anchor's expression
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError
from rmset.progress import Progress, silent
from rmset.read.splits import SplitName
from rmset.root import Root

from ...config.methods import RmferConfig
from ...datasets.images import Images
from ...errors import DatasetError
from ...evaluation.features import Extracted, OpenedRun, extract, on_root, open_run
from ...files import write_json
from ...models.inference import logits
from ...transforms.input_spec import InputSpec
from ...unlabeled.candidates import Anchors, Rows, open_anchors, write_delays
from ...unlabeled.crops import CropDataset, Crops, open_crops
from ...unlabeled.ground_truth import GroundTruth, read_ground_truth
from .delays import PairLag, PersonDelay, accuracy, differences, pair_lags, person_delays, signals
from .purity import Chosen, chosen
from .retrieval import balanced, table
from .rows import distance_rows, kind_rows, pair_rows

Labels = npt.NDArray[np.int64]
_EACH = 6
"""Most faces of each person and expression in retrieval: otherwise most would be neutral."""


@dataclass(frozen=True)
class QualityConfig:
    """Settings of the analysis."""

    anchors: int = 200
    """Number of anchors drawn; all faces are predicted, but only candidates of these anchors are refined."""
    rules: RmferConfig = field(default_factory=RmferConfig)
    """d, d', γ and the number of candidates, as in training."""
    max_lag: int = 30
    """Longest delay between two people that is searched, steps; agreement is shown up to this distance."""
    fraction: float = 1.0
    """Share of the root's videos."""
    seed: int = 0
    """Seed of the draws."""
    workers: int = 0
    """Processes that decode; the result does not depend on them."""
    split: SplitName | None = None
    """People to use: those of this split, as `rmset publish` draws it; None: everybody."""
    split_seed: int = 0
    """Seed of the splits."""

    def __post_init__(self) -> None:
        if self.anchors < 1 or self.max_lag < 1 or not 0 < self.fraction <= 1:
            raise UsageError(
                f"expected an anchor or more, a lag of a step or more and a share above 0, found {self.anchors}, "
                f"{self.max_lag}, {self.fraction:g}"
            )


@dataclass(frozen=True)
class PairsQuality:
    """Tables; `agree` is the predicted share with the anchor's expression, `true_…` the true share."""

    kinds: list[dict[str, Any]]
    """P, P_imp, N, N_imp, and P around each person's own delay: agreement and what chance would give."""
    distances: list[dict[str, Any]]
    """Agreement by |t − T|: other people up to `max_lag`, the same person beyond d'."""
    pairs: list[dict[str, Any]]
    """Two people: agreement, lag (steps by which b is later than a), correlation, the true lag where it is known."""
    people: list[dict[str, Any]]
    """One person: delay against the mean of the video, steps; None where the person correlates with no one."""
    retrieval: list[dict[str, Any]]
    """Retrieval by the run's features, of an expression in other people and of a person in other expressions; empty
    without ground truth."""
    delays: dict[str, Any]
    """Estimated against true differences of delays; empty without ground truth."""
    about: dict[str, Any]
    """Run, root, settings and counts."""

    def to_json(self) -> dict[str, Any]:
        """All of it, NaN as null."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self)), parse_constant=lambda _: None)
        return found


def pairs_quality(
    path: Path, root: Root, out: Path, config: QualityConfig, *, judge: Path | None = None,
    progress: Progress = silent,
) -> PairsQuality:  # fmt: skip
    """Measure, and write `delays.json` and `pairs-quality.json` into `out`.

    Args:
        path: the run whose features refine candidates.
        root: data set with crops.
        out: output folder.
        config: settings of the analysis.
        judge: the run that predicts expressions; the same run by default.
        progress: progress callback on faces.

    Raises:
        DatasetError: the root has no anchors.
    """
    run = open_run(path)
    judging = run if judge is None else open_run(judge)
    crops = open_crops(root, config.fraction, config.seed, split=config.split, split_seed=config.split_seed)
    anchors = open_anchors(crops, replace(config.rules, candidates="mashup"), config.seed)
    known = read_ground_truth(root, crops.keys)
    shown, lags, late = _judge(judging, crops, config, progress)
    sight = _Sight(run, *on_root(run, lambda own: CropDataset.for_spec(crops, own)), config.workers, progress)
    out.mkdir(parents=True, exist_ok=True)
    file = out / "delays.json"
    in_frames = {v: {p.person: (_frames(p, crops.stride), p.correlation) for p in people} for v, people in late.items()}
    write_delays(file, in_frames, root=root.place, run=str(path))
    rules = {"": anchors}
    if any(p.delay is not None for people in late.values() for p in people):
        delayed = replace(config.rules, candidates="delay", delays=str(file))
        rules[" (own delay)"] = open_anchors(crops, delayed, config.seed)
    wide = open_anchors(crops, replace(config.rules, candidates="mashup", d=config.max_lag), config.seed)
    rows = _rows([*rules.values(), wide], config)
    kinds = {note: _refined(sight, _draw(rule, rows, config), config) for note, rule in rules.items()}
    apart = _draw(wide, rows, config)
    result = PairsQuality(
        kind_rows(kinds, shown, known, crops),
        distance_rows(kinds[""], apart, shown, known, crops, config.rules.d_far, config.max_lag),
        pair_rows(kinds[""], shown, lags, known, crops),
        [
            {"video": v, "person": p.person, "delay": p.delay, "correlation": p.correlation}
            for v, people in late.items() for p in people
        ],
        _retrieval_rows(sight, known, config),
        _against_truth(late, known, crops),
        {
            "run": str(path), "judge": str(judge or path), "root": root.place, "crops": len(crops),
            "projection": run.projects, "truth": known is not None, "stride": crops.stride,
            **{k: v for k, v in asdict(config).items() if k != "workers"},
        },
    )  # fmt: skip
    write_json(out / "pairs-quality.json", result.to_json())
    return result


@dataclass(frozen=True)
class _Sight:
    """A run with the images it reads."""

    run: OpenedRun
    images: Images
    spec: InputSpec
    workers: int
    progress: Progress

    def of(self, rows: Sequence[int]) -> Extracted:
        """Features, projections and probabilities of some crops."""
        return extract(
            self.run.model, self.run.projection, self.images, self.spec, rows, workers=self.workers,
            progress=self.progress,
        )  # fmt: skip


def _judge(
    run: OpenedRun, crops: Crops, config: QualityConfig, progress: Progress
) -> tuple[Labels, dict[str, list[PairLag]], dict[str, list[PersonDelay]]]:
    """Classify each face (N,) and estimate lags and delays, one video at a time, so that memory is bounded."""
    images, spec = on_root(run, lambda own: CropDataset.for_spec(crops, own))
    keys, shown = crops.keys, np.empty(len(crops), np.int64)
    lags: dict[str, list[PairLag]] = {}
    late: dict[str, list[PersonDelay]] = {}
    videos = np.unique(keys.video).tolist()
    for done, video in enumerate(videos, start=1):
        rows = keys.rows_of(video)
        said = logits(run.model, images, spec, rows=rows.tolist(), workers=config.workers)
        p = said.double().softmax(dim=1).numpy()
        shown[rows] = p.argmax(axis=1)
        people = signals(p, keys.person[rows], keys.frame[rows], crops.stride)
        name = keys.video_ids[video]
        lags[name] = pair_lags(people, config.max_lag)
        late[name] = person_delays(lags[name], sorted(people))
        progress("judge faces, video by video", done, len(videos))
    return shown, lags, late


def _rows(rules: Sequence[Anchors], config: QualityConfig) -> Rows:
    """Different anchors, drawn from those that every rule has candidates for: rules are compared on the same ones."""
    common = reduce(np.intersect1d, [rule.candidates.anchors for rule in rules])
    if not len(common):
        raise DatasetError("expected anchors with candidates by every rule, found none; allow more steps than "
                           f"`rmfer.d={config.rules.d}`")  # fmt: skip
    return np.random.default_rng([config.seed, 14]).permutation(common)[: config.anchors]


def _draw(anchors: Anchors, rows: Rows, config: QualityConfig) -> list[tuple[list[int], int]]:
    """Draw the anchors' candidates by one rule."""
    drawn = anchors.candidates.draw_many(rows, np.random.default_rng([config.seed, 15]))
    return [([int(r), *p.tolist(), *n.tolist()], len(p)) for r, (p, n) in zip(rows, drawn, strict=True)]


def _refined(sight: _Sight, drawn: list[tuple[list[int], int]], config: QualityConfig) -> list[Chosen]:
    """Each anchor's candidates with those that refinement keeps; faces that several anchors share are seen once."""
    wanted, place = np.unique(np.concatenate([rows for rows, _ in drawn]), return_inverse=True)
    z = sight.of(wanted.tolist()).projected
    found, start = [], 0
    for rows, p in drawn:
        own = place[start : start + len(rows)]
        start += len(rows)
        c = chosen(z, int(own[0]), own[1 : 1 + p], own[1 + p :], config.rules.gamma)
        found.append(
            Chosen(int(wanted[c.anchor]), *(wanted[r] for r in (c.positives, c.negatives, c.positives_imp,
                                                                 c.negatives_imp)))
        )  # fmt: skip
    return found


def _retrieval_rows(sight: _Sight, known: GroundTruth | None, config: QualityConfig) -> list[dict[str, Any]]:
    if known is None:
        return []
    rows = balanced(known.expression, known.person, _EACH, config.seed)
    rows = rows[known.expression[rows] >= 0]
    seen = sight.of(rows.tolist())
    return table(seen.features, seen.projected, known.expression[rows], known.person[rows])


def _against_truth(late: dict[str, list[PersonDelay]], known: GroundTruth | None, crops: Crops) -> dict[str, Any]:
    if known is None or not known.delays:
        return {}
    found = [
        pair
        for video, people in late.items()
        for pair in differences(people, {p: d / crops.stride for (v, p), d in known.delays.items() if v == video})
    ]
    return {**asdict(accuracy(found)), "estimated_and_true": found}


def _frames(p: PersonDelay, stride: int) -> float | None:
    return None if p.delay is None else p.delay * stride
