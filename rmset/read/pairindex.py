"""Cache of a sampler's arrays.

DuckDB selects the rows by quality; `rmset.read.arrange` sorts them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import lcm

import numpy as np

from rmset.errors import UsageError
from rmset.files import hash_of
from rmset.progress import Progress, silent
from rmset.read import queries
from rmset.read.arrange import PairArrays, PairRule, Rows, arrange
from rmset.read.catalog import Catalog
from rmset.read.crops import CropStore
from rmset.read.duplicates import VIDEOS, current_files, state_hash
from rmset.read.index import Arrays, load, make
from rmset.read.mount import PREFIX
from rmset.read.pairs import PairSampler
from rmset.read.persons import read_persons
from rmset.records import StageRecord
from rmset.root import Root

_KEPT = {"by_person", "video_start", "track", "track_start", "anchors"}


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
    folder = store.index.folder
    if folder is None:
        arrays = arrange(store.keys, rule, taking_part(store, quality), progress)
        return PairSampler(store.keys, rule=rule, max_candidates=max_candidates, arrays=arrays)
    layouts = reviewed_hash(store.root) if quality.reviewed else ""
    # Equivalent rules share their arrays; names of earlier versions stay.
    chosen = {name: value for name, value in asdict(quality).items() if name != "distinct"}
    meaning: list[object] = [2, folder, rule.reach, rule.clock, rule.same_segment, chosen, layouts]
    if quality.distinct:
        meaning.append(state_hash(store.root))
    if store.keys.identity is not None:
        meaning.append(read_persons(store.root).aliases)
    name = f"pairs-{hash_of(meaning)[:16]}"
    kept = load(store.root, name)
    if kept is None or not set(kept) >= _KEPT:
        made = _as_arrays(arrange(store.keys, rule, taking_part(store, quality), progress))

        def fill(arrays: Arrays) -> None:
            for key, values in made.items():
                arrays[key][:] = values

        kept, _ = make(store.root, name, {k: (len(v), v.dtype) for k, v in made.items()}, fill)
    arrays = PairArrays(
        kept.get("row"), *(kept[n] for n in ("by_person", "video_start", "track", "track_start", "anchors"))
    )
    return PairSampler(store.keys, rule=rule, max_candidates=max_candidates, arrays=arrays)


def taking_part(store: CropStore, quality: Quality) -> Rows | None:
    """Return the rows that pass the filter, ascending; None for all."""
    if quality.everything:
        return None
    paths = [PREFIX + shard.key for shard in store.index.shards]
    found = Catalog(store.root).run(queries.rows_where(paths, where(quality))).arrow()
    first = dict(zip(paths, store.index.first_row.tolist(), strict=False))
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


def reviewed_hash(root: Root) -> str:
    """Hash of the state that determines which segments are reviewed."""
    return hash_of({layout.video_id: [s.reviewed for s in layout.segments] for layout in root.layouts()})


def _as_arrays(arrays: PairArrays) -> Arrays:
    return {name: value for name, value in vars(arrays).items() if value is not None}


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
