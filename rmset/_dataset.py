"""`rmset.open(root)`: a data set as one object, with access to all its contents."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rmset.errors import RootError
from rmset.geometry import Box
from rmset.inspect import stats
from rmset.layout_record import Layout
from rmset.progress import Progress, bars
from rmset.read import queries
from rmset.read.arrange import PairRule, Unit
from rmset.read.catalog import Catalog
from rmset.read.crops import CropStore
from rmset.read.pairindex import Quality, open_sampler, step_of
from rmset.read.result import Result
from rmset.read.sequence import Crops, Pairs
from rmset.records import VideoRecord
from rmset.root import Root

__all__ = ["AnyRoot", "Dataset", "RootStats", "VideoPerson", "open", "root_of"]


@dataclass(frozen=True)
class VideoPerson:
    """One person of one video, from its layout.

    >>> person = rmset.open("data/rmset").people[0]
    >>> person.person_id, person.segments
    (0, (0,))
    """

    video_id: str
    person_id: int
    """Id of the person, the same in all segments of the video."""
    segments: tuple[int, ...]
    """Segments of the layout in which they are seen."""
    box: Box
    """Their face in the reference frame of the first of these: xyxy, px."""
    panel: Box | None
    """The rectangle in which they are filmed; None if unknown."""
    reviewed: bool
    """Whether a person has confirmed all of these segments."""


@dataclass(frozen=True)
class RootStats:
    """The counts of the paper's table.

    >>> rmset.open("data/rmset").stats().total["people"]
    3
    """

    videos: list[dict[str, Any]]
    """One row per video: frames, people, faces, crops, coverage, face height, aspect before and after, masked share."""
    total: dict[str, Any]
    """Totals over all videos."""
    pixels: stats.PixelStatistics | None = None
    """Exact mean and std of all crops, if requested."""


class Dataset(os.PathLike[str]):
    """A data set: its videos, people, tables, crops and pairs.

    Contents are read on first use and cached; `reload()` reads them again.

    >>> data = rmset.open("data/rmset")
    >>> data.videos[0].width, len(data.people), len(data.crops()) > 100
    (640, 3, True)
    """

    def __init__(self, root: Root) -> None:
        self.root = root
        """Paths of all files, and the ledger of finished stages."""

    @property
    def path(self) -> Path:
        """The folder."""
        return self.root.path

    def __fspath__(self) -> str:
        return self.root.place

    def __repr__(self) -> str:
        return f"rmset.open({self.root.place!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # workers get the path and open it again
        return Dataset, (self.root,)

    def reload(self) -> Dataset:
        """Drop the cache, for example after a build by another process; returns itself.

        >>> len(rmset.open("data/rmset").reload().videos)
        1
        """
        for kept in ("catalog", "store"):
            self.__dict__.pop(kept, None)
        return self

    @cached_property
    def catalog(self) -> Catalog:
        """The tables behind `sql`."""
        return Catalog(self.root)

    @cached_property
    def store(self) -> CropStore:
        """Pixels by row number, behind `crops` and `pairs`."""
        with bars() as progress:
            return CropStore(self.root, progress=progress)

    @property
    def videos(self) -> tuple[VideoRecord, ...]:
        """Record of each video, by video_id."""
        return tuple(self.root.records())

    @property
    def people(self) -> tuple[VideoPerson, ...]:
        """All people who react, by video_id and person_id; a video without a layout has none yet."""
        layouts = self.root.layouts()
        return tuple(person for layout in layouts for person in _people(layout))

    def layout(self, video_id: str) -> Layout:
        """Trigger regions and people of a video, by segment.

        Raises:
            RootError: there is no such video, or it has no layout yet.

        >>> data = rmset.open("data/rmset")
        >>> segment = data.layout(data.videos[0].video_id).segments[0]
        >>> len(segment.trigger_regions), segment.reviewed
        (1, True)
        """
        self.root.select([video_id])
        return self.root.layout(video_id)

    def tracks(self, video_id: str) -> Result:
        """Return a video's face rows by person and frame; read them by `.arrow()`, `.pandas()`, `.polars()`, `.rows()`.

        Raises:
            RootError: there is no such video, or it is not tracked yet.

        >>> data = rmset.open("data/rmset")
        >>> data.tracks(data.videos[0].video_id).columns[:4]
        ['video_id', 'person_id', 'part', 'segment']
        """
        self.root.select([video_id])
        if not self.root.files.exists(self.root.tracks_key(video_id)):
            raise RootError(f"video {video_id}: has no tracks yet; run `rmset track {video_id}` first")
        return self.catalog.run(
            f"select * from faces where video_id = {queries.literal(video_id)} order by person_id, frame_idx"  # noqa: S608
        )

    def sql(self, query: str, *, bounded: bool = False) -> Result:
        """One `select` over videos, segments, regions, people, faces and crops.

        Args:
            query: SQL.
            bounded: limit the memory of the process while the query runs to its present size plus 1.5 times
                DuckDB's 2 GB plus 512 MiB. Use it for untrusted queries: DuckDB's limit does not cover a single huge
                value, such as a text of gigabytes. The limit affects all threads of the process, and works on Linux
                only.

        Raises:
            QueryError: invalid SQL, not exactly one `select`, or access beyond the root.

        >>> rmset.open("data/rmset").sql("select count(distinct person_id) as people from faces").rows()
        [{'people': 3}]
        """
        return self.catalog.sql(query, bounded=bounded)

    def run(self, query: str, parameters: Mapping[str, Any] | None = None) -> Result:
        """Run trusted SQL of a program, which may use any function that the locked connection allows.

        Args:
            query: SQL.
            parameters: values of its $names.

        >>> rmset.open("data/rmset").run("select $x + 1 as y", {"x": 1}).rows()
        [{'y': 2}]
        """
        return self.catalog.run(query, parameters)

    def crops(self, video_id: str | None = None, person_id: int | None = None) -> Crops:
        """All crops by row number, or those of one video, or of one person in it.

        Raises:
            RootError: there are no crops, or none of that video.

        >>> crops = rmset.open("data/rmset").crops()
        >>> crops[7].image.shape, crops[7].person_id
        ((64, 64, 3), 1)
        """
        every = Crops(self.store)
        if video_id is None and person_id is None:
            return every
        keys, rows = self.store.keys, np.arange(len(self.store))
        if video_id is not None:
            if video_id not in keys.video_ids:
                raise RootError(f"video {video_id!r}: has no crops in {self.root.place}; run `rmset export` first")
            rows = keys.rows_of(keys.video_ids.index(video_id))
        if person_id is not None:
            rows = rows[keys.person[rows] == person_id]
        return every[rows]

    def pairs(
        self,
        d: float = 5,
        d_far: float = 30,
        *,
        unit: Unit = "steps",
        seed: int = 0,
        candidates: int = 50,
        same_segment: bool = False,
        min_sharpness: float | None = None,
        min_brightness: float | None = None,
        max_yaw: float | None = None,
        max_padding: float | None = None,
        reviewed: bool = False,
        distinct: bool = False,
    ) -> Pairs:
        """Anchors with their positives (others, same moment) and negatives (same person, far away in time).

        Args:
            d: positives are within ± this distance.
            d_far: negatives are beyond ± this distance.
            unit: unit of both: steps (exported frames), frames or seconds.
            seed: seed of the order of anchors and of the draws.
            candidates: most candidates of each kind per anchor.
            same_segment: take positives from the anchor's segment only.
            min_sharpness: leaves out blurred crops; also as candidates, as each of the following.
            min_brightness: leaves out dark ones, 0 to 1.
            max_yaw: leaves out turned heads, 0 to 1.
            max_padding: leaves out crops with a larger share outside frame or panel.
            reviewed: use reviewed segments only.
            distinct: leave out crops that look like another (`rmset duplicates --crops`).

        Raises:
            RootError: there are no crops.
            UsageError: an invalid value, or videos exported with different strides.

        >>> for anchor, positives, negatives in rmset.open("data/rmset").pairs(d=5, d_far=30, seed=0).take(1):
        ...     positives[0].image.shape
        (64, 64, 3)
        """
        rule = PairRule(d, d_far, unit, step_of(self.root) if unit == "steps" else 1, same_segment)
        quality = Quality(min_sharpness, min_brightness, max_yaw, max_padding, reviewed, distinct)
        with bars() as progress:
            sampler = open_sampler(self.store, rule, quality, max_candidates=candidates, progress=progress)
        return Pairs(self.store, sampler, seed)

    def stats(self, *, pixels: bool = False, progress: Progress | bool | None = None) -> RootStats:
        """Count videos, frames, people, faces and crops, and describe them.

        Args:
            pixels: also compute the exact mean and std of all crops, which reads every crop.
            progress: see `rmset.build`.

        >>> rmset.open("data/rmset").stats().videos[0]["frames"]
        48
        """
        self.root.select(None)
        rows = stats.per_video(self.root)
        found = None
        if pixels:
            with bars(progress) as report:
                found = stats.pixels(self.root, report)
        return RootStats(rows, stats.total(rows, stats.persons(self.root)), found)


AnyRoot = Dataset | Root | Path | str | None
"""A data set, or its path; None is `$RMSET_ROOT`, else `data/rmset`."""


def open(root: AnyRoot = None) -> Dataset:  # noqa: A001  (rmset.open reads as it should)
    """Return a data set: the folder given, else `$RMSET_ROOT`, else `data/rmset`.

    A folder that does not exist yet is an empty data set, to be filled by `rmset.add` and `rmset.build`.

    >>> rmset.open("data/rmset").sql("select count(*) as faces from faces").arrow().num_rows
    1
    """
    return root if isinstance(root, Dataset) else Dataset(root_of(root))


def root_of(root: AnyRoot) -> Root:
    """Return the root of a data set or path."""
    if isinstance(root, Dataset):
        return root.root
    return root if isinstance(root, Root) else Root.find(root)


def _people(layout: Layout) -> list[VideoPerson]:
    """Each person of a layout once, by id."""
    seen: dict[int, VideoPerson] = {}
    for number, segment in enumerate(layout.segments):
        for p in segment.people:
            before = seen.get(p.person_id)
            if before is None:
                seen[p.person_id] = VideoPerson(
                    layout.video_id, p.person_id, (number,), p.box, p.panel, segment.reviewed
                )
            else:
                seen[p.person_id] = VideoPerson(
                    layout.video_id, p.person_id, (*before.segments, number), before.box, before.panel,
                    before.reviewed and segment.reviewed,
                )  # fmt: skip
    return [seen[person_id] for person_id in sorted(seen)]
