"""Cache of a sampler's arrays: a folder under `state/index` for each rule and filter, with a block per video.

DuckDB selects the rows by quality; `rmset.read.arrange` sorts them. After one more video only its rows are selected and
sorted; draws depend on the crops alone, not on the order in which their videos came.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from math import lcm

import numpy as np

from rmset.errors import UsageError
from rmset.files import hash_of
from rmset.progress import Progress, silent
from rmset.read import queries
from rmset.read.arrange import VIDEO_COLUMNS, Joined, PairRule, arrange, arrange_video, put_together
from rmset.read.catalog import Catalog
from rmset.read.columns import Rows
from rmset.read.crops import CropStore
from rmset.read.duplicates import VIDEOS, current_files, state_hash
from rmset.read.growing import Made, extend
from rmset.read.mount import PREFIX
from rmset.read.pairs import PairSampler
from rmset.read.persons import read_persons
from rmset.records import StageRecord
from rmset.root import Root

_FORMAT = 3
_COLUMNS = {name: np.dtype(np.int32) for name in VIDEO_COLUMNS}


@dataclass(frozen=True)
class Quality:
    """Filter of crops for pairs, as anchors and as candidates."""

    min_sharpness: float | None = None
    min_brightness: float | None = None
    max_yaw: float | None = None
    """largest |yaw|; if set, crops without landmarks are left out"""
    max_padding: float | None = None
    reviewed: bool = False
    """only segments with a reviewed layout"""
    distinct: bool = False
    """without crops that look like another (`rmset duplicates --crops`)"""

    @property
    def everything(self) -> bool:
        """Whether the filter keeps everything."""
        return self == Quality()


def open_sampler(
    store: CropStore,
    rule: PairRule | None = None,
    quality: Quality | None = None,
    *,
    max_candidates: int = 50,
    progress: Progress = silent,
) -> PairSampler:
    """Return a sampler over a root's crops; its arrays are cached under `state/index`.

    Args:
        store: the crops.
        rule: rule for candidates; default: `PairRule()` with the root's own stride.
        quality: filter of crops; default: all.
        max_candidates: most candidates of each kind in a draw.
        progress: progress callback while the arrays are made.

    Raises:
        UsageError: only distinct crops are wanted, and duplicates were not looked for.
    """
    rule = rule if rule is not None else PairRule(stride=step_of(store.root))
    quality = quality if quality is not None else Quality()
    if quality.distinct and not any(key != VIDEOS for key in current_files(store.root)):
        raise UsageError(
            "expected duplicate crops to leave out, found none listed; run `rmset duplicates --crops` first"
        )
    if store.index.folder is None:
        arrays = arrange(store.keys, rule, taking_part(store, quality), progress)
        return PairSampler(store.keys, rule=rule, max_candidates=max_candidates, arrays=arrays)
    keys, stamps = store.keys, _stamps(store, quality)

    def begin(missing: list[str]) -> Callable[[str], Made]:
        rows = taking_part(store, quality, missing)
        number = {video_id: place for place, video_id in enumerate(keys.video_ids)}
        return lambda video_id: (arrange_video(keys, rule, number[video_id], rows).columns, ())

    # Equivalent rules share their arrays.
    meaning = [_FORMAT, rule.reach, rule.clock, rule.same_segment, asdict(quality)]
    blocks = extend(store.root, f"pairs-{hash_of(meaning)[:16]}", _COLUMNS, stamps, begin, progress)
    columns: dict[str, Joined] = {
        name: (blocks.array(name), blocks.lengths(name), blocks.start(name)) for name in _COLUMNS
    }
    return PairSampler(keys, rule=rule, max_candidates=max_candidates, arrays=put_together(keys, columns))


def _stamps(store: CropStore, quality: Quality) -> dict[str, str]:
    """Return, for each video, what its arrays depend on besides rule and filter: its rows, people and layout."""
    root, index = store.root, store.index
    reviewed = _reviewed(root) if quality.reviewed else {}
    distinct = state_hash(root) if quality.distinct else ""
    aliases = read_persons(root).aliases if store.keys.identity is not None else {}
    found = {}
    for video_id, stamp in zip(index.video_ids, index.blocks.stamps, strict=True):
        own = [reviewed.get(video_id), distinct, sorted(aliases.get(video_id, {}).items())]
        found[video_id] = hash_of([stamp, own])[:32] if any(own) else stamp
    return found


def taking_part(store: CropStore, quality: Quality, video_ids: Collection[str] | None = None) -> Rows | None:
    """Return the rows that pass the filter, ascending; None for all.

    Args:
        store: the crops.
        quality: the filter.
        video_ids: videos that are looked at; None: all.
    """
    if quality.everything:
        return None
    wanted = None if video_ids is None else set(video_ids)
    first = {
        PREFIX + shard.key: row
        for shard, row in zip(store.index.shards, store.index.first_row.tolist(), strict=False)
        if wanted is None or shard.video_id in wanted
    }
    found = Catalog(store.root).run(queries.rows_where(list(first), where(quality))).arrow()
    files = found["filename"].combine_chunks().dictionary_encode()
    starts = np.array([first[name] for name in files.dictionary.to_pylist()], dtype=np.int64)
    if not len(starts):
        return np.empty(0, np.int64)
    return np.sort(starts[files.indices.to_numpy()] + found["file_row_number"].to_numpy())


def where(quality: Quality) -> list[str]:
    """Return the conditions of a filter in SQL, over `crops c`."""
    conditions = []
    if quality.min_sharpness is not None:
        conditions.append(f"c.sharpness >= {float(quality.min_sharpness)!r}::float")
    if quality.min_brightness is not None:
        conditions.append(f"c.brightness >= {float(quality.min_brightness)!r}::float")
    if quality.max_yaw is not None:
        conditions.append(f"abs(c.yaw) <= {float(quality.max_yaw)!r}::float")
    if quality.max_padding is not None:
        conditions.append(f"c.padding <= {float(quality.max_padding)!r}::float")
    if quality.reviewed:
        conditions.append("(c.video_id, c.segment) in (select video_id, segment from segments where reviewed)")
    if quality.distinct:
        listed = "select video_id, person_id, frame_idx from duplicates where frame_idx is not null"
        conditions.append(f"(c.video_id, c.person_id, c.frame_idx) not in ({listed})")
    return conditions


def _reviewed(root: Root) -> dict[str, list[bool]]:
    """Return which segments of each video are reviewed."""
    return {layout.video_id: [s.reviewed for s in layout.segments] for layout in root.layouts()}


def step_of(root: Root) -> int:
    """Frames in one step, which is one exported frame; 1 if no export is recorded.

    Raises:
        UsageError: videos were exported with different strides.
    """
    return recorded_step(root) or 1


def recorded_step(root: Root) -> int | None:
    """Frames in one step, from the ledger; None for crops without a recorded export.

    A frame is exported if the strides of both track and export divide its number.

    Raises:
        UsageError: videos were exported with different strides.
    """

    def standing(stage: str, video_id: str) -> StageRecord | None:
        entry = root.stage_record(stage, video_id)
        return entry.standing if entry is not None else None

    records = [(standing("track", v), standing("export", v)) for v in root.video_ids()]
    steps = {
        lcm(*(_stride(entry) for entry in (tracked, exported) if entry is not None))
        for tracked, exported in records
        if exported is not None
    }
    if len(steps) > 1:
        raise UsageError(f"pairs: expected one export stride, found {sorted(steps)}; export all videos alike")
    return steps.pop() if steps else None


def _stride(entry: StageRecord) -> int:
    stride = entry.config.get("stride", 1)
    return stride if isinstance(stride, int) and stride >= 1 else 1
