"""Removals of a publisher, applied to a root: what it holds is removed, what it does not hold is kept out later.

A person or face is removed only if the faces under its id are those that the publisher removed, by their hash: ids of
other tracks are other people's. What cannot be matched is recorded, and stops stages that would find the people again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rmset import removal
from rmset.bounded import read_text
from rmset.errors import RootError, UnreadableError
from rmset.parts.shards import keys_of
from rmset.progress import Progress, silent
from rmset.read.absent import read_removed, write_removed
from rmset.release.download import download
from rmset.release.names import published_id
from rmset.release.rebuilt import released_rows
from rmset.release.removals import MOST, NAME, Removal, from_json
from rmset.removal.carry_out import LOCK
from rmset.removal.rows import removed_rows
from rmset.root import Root
from rmset.tombstones import Tombstone

REASON = "removed by the publisher of a release"
Done = Literal["removed", "recorded", "known", "not matched"]


@dataclass(frozen=True)
class Pulled:
    """What became of one removal of the publisher."""

    what: str
    key: str
    done: Done
    """`removed` here now; `recorded`: this root does not hold it; `known`: from an earlier run; `not matched`: the root
    has other faces under this id, and keeps them"""
    faces: int = 0
    crops: int = 0


def pull_removals(
    root: Root, source: Path | str, *, dry_run: bool = False, progress: Progress = silent
) -> list[Pulled]:
    """Apply the removals of a release, or of its later `removed.json`.

    Args:
        root: the data set.
        source: folder of a release, its `removed.json`, or the address of one (https).
        dry_run: only report.
        progress: progress callback on removals.

    Raises:
        RootError: the source cannot be read, or another process works on one of the videos.
    """
    return apply(root, read_removals(source), dry_run=dry_run, progress=progress)


def read_removals(source: Path | str) -> list[Removal]:
    """Read published removals.

    Raises:
        RootError: there are none, or they cannot be read.
    """
    text = str(source)
    if text.lower().startswith(("https://", "http://")):
        return from_json(download(text, MOST), text)
    path = Path(source) / NAME if Path(source).is_dir() else Path(source)
    try:
        return from_json(read_text(path, MOST), str(path))
    except (FileNotFoundError, UnreadableError) as error:
        raise RootError(
            f"{path}: expected the removals of a release, found none ({error}); name another file"
        ) from error


def apply(
    root: Root, removals: Iterable[Removal], *, dry_run: bool = False, progress: Progress = silent
) -> list[Pulled]:
    """Apply published removals to a root, one after another; repeating it changes nothing."""
    wanted, found = list(removals), []
    for number, each in enumerate(wanted):
        progress("removals", number, len(wanted))
        found.append(_apply(root, each, _ids(root), dry_run, progress))
    progress("removals", len(wanted), len(wanted))
    return found


def _ids(root: Root) -> dict[str, str]:
    """Id of each video as published -> its id here; also by the hash of its bytes."""
    found: dict[str, str] = {}
    for record in root.records():
        found[record.sha256] = record.video_id
        found[published_id(record.video_id, record.source_url)] = record.video_id
    return found | {video_id: video_id for video_id in root.video_ids()}


def _apply(root: Root, each: Removal, ids: Mapping[str, str], dry_run: bool, progress: Progress) -> Pulled:
    own = ids.get(each.video_id) or ids.get(each.sha256)
    if each.what == "video":
        if own is not None:
            stone = removal.remove_video(root, own, REASON, dry_run=dry_run, progress=progress)
            return Pulled("video", own, "removed", stone.faces, stone.crops)
        gone = root.removed().video(each.video_id, each.sha256 or None)
        return _known(each) if gone is not None else _recorded(root, each, each.video_id, dry_run)
    video_id = own or each.video_id
    if root.removed().video(video_id) is not None or _recorded_before(root, each, video_id):
        return _known(each)
    rows = released_rows(root, video_id) if own is not None else None
    if rows is None or not rows.num_rows:
        return _recorded(root, each, video_id, dry_run)
    named = rows.filter(each.has(rows))
    if not each.means(rows):
        before = {int(key) for key in keys_of(read_removed(root, video_id))}
        here = {person << 32 | frame for person, frame in _here(named)}
        if named.num_rows and here <= before:
            return _known(each)
        done = _recorded(root, each, video_id, dry_run)
        return replace(done, done="not matched") if named.num_rows else done
    return _remove(root, each, video_id, named, dry_run, progress)


def _here(rows: pa.Table) -> list[tuple[int, int]]:
    """Return (person, frame) here of released rows whose frame is not gone."""
    pairs = zip(rows["person_id"].to_pylist(), rows["here"].to_pylist(), strict=True)
    return [(person, frame) for person, frame in pairs if frame >= 0]


def _remove(root: Root, each: Removal, video_id: str, named: pa.Table, dry_run: bool, progress: Progress) -> Pulled:
    keys = set(_here(named))
    gone = {int(key) for key in keys_of(read_removed(root, video_id))}
    if {person << 32 | frame for person, frame in keys} <= gone:
        return _known(each)
    if each.what == "person":
        assert each.person_id is not None
        stones = [removal.remove_person(root, video_id, each.person_id, REASON, dry_run=dry_run, progress=progress)]
    else:
        stones = removal.remove_faces(root, {video_id: keys}, REASON, dry_run=dry_run, progress=progress)
    key = video_id if each.person_id is None else f"{video_id}:{each.person_id}"
    return Pulled(each.what, key, "removed", sum(s.faces for s in stones), sum(s.crops for s in stones))


def _known(each: Removal) -> Pulled:
    return Pulled(each.what, each.key, "known")


def _recorded_before(root: Root, each: Removal, video_id: str) -> bool:
    wanted = _published(each)
    return any(t.published == wanted for _, t in root.removed().of(video_id))


def _published(each: Removal) -> str:
    return json.dumps({k: v for k, v in asdict(each).items() if v not in (None, "", ())}, sort_keys=True)


def _recorded(root: Root, each: Removal, video_id: str, dry_run: bool) -> Pulled:
    """Record a removal whose faces this root does not hold."""
    done = Pulled(each.what, each.key, "recorded")
    if dry_run:
        return done
    now = datetime.now(UTC).isoformat(timespec="seconds")
    stone = Tombstone(each.what, video_id, each.person_id, REASON, now, 0, 0, each.sha256, state="done",
                      published=_published(each))  # fmt: skip
    with root.files.lock(video_id), root.files.lock(LOCK):
        rows = read_removed(root, video_id)
        with root.files.publish(root.removed_key(video_id)) as path:
            write_removed(path, rows)
        root.write_removed(root.removed().with_entry(stone))
    return done


def removed_since(root: Root, video_id: str, faces: pa.Table) -> list[tuple[int, Removal, npt.NDArray[np.bool_]]]:
    """Return the recorded removals of released faces: number of the tombstone, removal, and which rows (N,) it names.

    Args:
        root: the data set.
        video_id: of a video that is being rebuilt.
        faces: its face rows as released.
    """
    found = []
    for number, stone in root.removed().of(video_id):
        if stone.published is not None and stone.what != "video":
            (each,) = from_json(json.dumps({"schema": 1, "removed": [json.loads(stone.published)]}), NAME)
            if each.means(faces):
                found.append((number, each, np.asarray(each.has(faces).to_numpy(zero_copy_only=False))))
    return found


def place(root: Root, video_id: str, rows: Mapping[int, pa.Table]) -> None:
    """Write where removed faces are in the file that is here, so that later stages recognize them.

    Args:
        root: the data set.
        video_id: of the video, whose lock the caller holds.
        rows: number of the tombstone -> face rows.
    """
    with root.files.lock(LOCK):
        known = read_removed(root, video_id)
        others = known.filter(~np.isin(known["tombstone"].to_numpy(), list(rows)))
        table = pa.concat_tables([others, *(removed_rows(gone, number, {}) for number, gone in rows.items())])
        with root.files.publish(root.removed_key(video_id)) as path:
            write_removed(path, table)
        stones = root.removed()
        for number, gone in rows.items():
            stones = stones.with_entry(replace(stones.entries[number], faces=gone.num_rows), number)
        root.write_removed(stones)
