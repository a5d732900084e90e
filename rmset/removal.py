"""Removal of videos, people and crops from a data set, and the completion of removals that were interrupted.

    request ── rows that go ──> removed/<video_id>.parquet ── tombstone, pending ──> removed.json
    pending ── layout, tracks, audit, shards rewritten; ledger restated ──> tombstone, done

The tombstone is the point of no return: from then on the video is hidden, and the next process that holds its lock
finishes the work. Files are replaced one by one; repeating this changes nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rmset import schema
from rmset.answers import Answer
from rmset.errors import RootError, UsageError
from rmset.files import sha256_of
from rmset.parts.likeness import likeness
from rmset.parts.pictures import decode
from rmset.parts.shards import CropWriter, batches, opened, read_faces, write_faces
from rmset.pipeline import STAGES
from rmset.progress import Progress, silent
from rmset.read.absent import Absent, read_removed, removed_schema, write_removed
from rmset.read.catalog import Catalog
from rmset.read.index import FOLDER as INDEX
from rmset.records import StageRecord
from rmset.root import Root
from rmset.stages import audit, export, layout, track
from rmset.stages.fetch.arrive import DOWNLOADS
from rmset.tombstones import Kind, Tombstone

LOCK = "removed"
_LOOKS = 30
"""every how many crops of a person one gets a perceptual hash"""
_KEY_COLUMNS = ("video_id", "person_id", "frame_idx")


def remove_video(
    root: Root, video_id: str, reason: str, *, dry_run: bool = False, progress: Progress = silent
) -> Tombstone:
    """Remove a video with all its results; it cannot be added or fetched again.

    Args:
        root: the data set.
        video_id: of the video.
        reason: why, in a few words; kept in the tombstone.
        dry_run: only count what would go.
        progress: progress callback on faces and files.

    Raises:
        RootError: there is no such video, another process works on it, or the root is not writable.
    """
    if (stone := root.removed().video(video_id)) is not None and stone.state == "done":
        return stone
    root.select([video_id])
    everything = lambda faces: np.ones(len(faces), np.bool_)  # noqa: E731
    return _remove(root, "video", video_id, None, everything, reason, dry_run, progress)


def remove_person(
    root: Root, video_id: str, person_id: int, reason: str, *, dry_run: bool = False, progress: Progress = silent
) -> Tombstone:
    """Remove a person of a video: layout, face rows, audit and crops; later runs of the stages leave them out.

    Raises:
        RootError: there is no such person, another process works on the video, or the root is not writable.
    """
    root.select([video_id])
    before = [t for _, t in root.removed().of(video_id) if t.person_id == person_id]

    def theirs(faces: pa.Table) -> npt.NDArray[np.bool_]:
        mine = np.asarray(faces["person_id"].to_numpy() == person_id)
        if not mine.any():
            known = sorted(set(faces["person_id"].to_pylist()))
            remedy = "name one of these" if known else "track the video first: its faces tell who is to be left out"
            raise RootError(f"video {video_id}: expected a person with faces {known}, found {person_id}; {remedy}")
        return mine

    if before and person_id not in _faces(root, video_id)["person_id"].to_pylist():
        return before[-1]
    return _remove(root, "person", video_id, person_id, theirs, reason, dry_run, progress)


def remove_crops(
    root: Root, query: str, reason: str, *, dry_run: bool = False, progress: Progress = silent
) -> list[Tombstone]:
    """Remove the faces whose keys a query returns.

    Args:
        root: the data set.
        query: one `select` with the columns video_id, person_id and frame_idx.
        reason: why, in a few words.
        dry_run: only count what would go.
        progress: progress callback on faces and files.

    Returns:
        One tombstone for each video; none if the query returns no row.

    Raises:
        QueryError: the query is wrong.
        UsageError: it lacks one of the columns.
    """
    result = Catalog(root).sql(query)
    if missing := [name for name in _KEY_COLUMNS if name not in result.columns]:
        raise UsageError(f"expected the columns {', '.join(_KEY_COLUMNS)} in the query, found no {missing[0]}")
    wanted: dict[str, set[tuple[int, int]]] = {}
    for row in result.rows():
        wanted.setdefault(row["video_id"], set()).add((row["person_id"], row["frame_idx"]))
    if not wanted:
        return []
    root.select(sorted(wanted))

    def chosen(keys: set[tuple[int, int]]) -> Callable[[pa.Table], npt.NDArray[np.bool_]]:
        packed = np.array(sorted(_packed(p, f) for p, f in keys), np.int64)
        return lambda faces: np.isin(_keys(faces), packed)

    return [
        _remove(root, "crops", video_id, None, chosen(keys), reason, dry_run, progress)
        for video_id, keys in sorted(wanted.items())
    ]


def finish(root: Root, progress: Progress = silent) -> list[Tombstone]:
    """Finish interrupted removals and return them.

    Raises:
        RootError: another process works on one of the videos, or the root is not writable.
    """
    done = []
    for number, stone in enumerate(root.removed()):
        if stone.state == "pending":
            with root.files.lock(stone.video_id):
                done.append(_carry_out(root, number, stone, progress))
    return done


def _remove(
    root: Root,
    what: Kind,
    video_id: str,
    person_id: int | None,
    goes: Callable[[pa.Table], npt.NDArray[np.bool_]],
    reason: str,
    dry_run: bool,
    progress: Progress,
) -> Tombstone:
    """Record a removal and carry it out; `goes` selects the face rows to remove."""
    if not reason.strip():
        raise UsageError("expected a reason, found none; say why in a few words")
    with root.files.lock(video_id):
        record, faces = root.record(video_id), _faces(root, video_id)
        gone = faces.filter(goes(faces))
        stone = Tombstone(
            what, video_id, person_id, " ".join(reason.split()), datetime.now(UTC).isoformat(timespec="seconds"), 0, 0,
            record.sha256, root.export_hash(video_id), record.source_url, current=_current(root, video_id),
        )  # fmt: skip
        with root.files.lock(LOCK):
            number = len(root.removed().entries)
            if what == "person":
                # A face of the person under another id is removed too, as in any later run.
                absent = Absent.from_table(video_id, _rows(gone, number, {}), root.removed().with_entry(stone))
                gone = faces.filter(absent.rows(faces))
            if dry_run:
                return replace(stone, faces=gone.num_rows, crops=_count_crops(root, video_id, _keys(gone)))
            hashes = _hashes(root, video_id, _keys(gone), progress)
            stone = replace(stone, faces=gone.num_rows, crops=len(hashes))
            rows = pa.concat_tables([read_removed(root, video_id), _rows(gone, number, hashes)])
            with root.files.publish(root.removed_key(video_id)) as path:
                write_removed(path, rows)
            root.write_removed(root.removed().with_entry(stone))
        return _carry_out(root, number, stone, progress)


def _carry_out(root: Root, number: int, stone: Tombstone, progress: Progress) -> Tombstone:
    """Rewrite the files of a pending removal; the caller holds the video's lock."""
    if stone.what == "video":
        _drop(root, stone.video_id)
    else:
        _rewrite(root, number, stone, progress)
    # Derived from all shards; rebuilt at the next use.
    root.files.remove(INDEX)
    stone = replace(stone, state="done")
    with root.files.lock(LOCK):
        root.write_removed(root.removed().with_entry(stone, number))
    return stone


def _drop(root: Root, video_id: str) -> None:
    """Remove every file of a video but its removed rows; the record goes last."""
    keep = {root.removed_key(video_id), root.record_key(video_id)}
    for pattern in (f"*/{video_id}.*", f"*/{video_id}", f"state/*/{video_id}.*", f"*/*/{video_id}.*"):
        for key in root.files.keys(pattern):
            if key not in keep:
                root.files.remove(key)
    root.files.remove(root.crops_key(video_id))
    root.files.remove(f"{DOWNLOADS}/{video_id}")
    root.files.remove(root.record_key(video_id))


def _rewrite(root: Root, number: int, stone: Tombstone, progress: Progress) -> None:
    """Remove the faces from layout, tracks, audit and shards, and update the ledger."""
    video_id = stone.video_id
    removed = read_removed(root, video_id)
    removed = removed.filter(pc.equal(removed["tombstone"], number))
    keys = np.unique(_keys(removed))
    counts: dict[str, dict[str, Any]] = {}
    if stone.person_id is not None and root.has_layout(video_id):
        before = root.layout(video_id)
        segments = tuple(
            replace(s, people=tuple(p for p in s.people if p.person_id != stone.person_id)) for s in before.segments
        )
        if segments != before.segments:
            root.write_layout(replace(before, segments=segments))
    if root.files.exists(root.tracks_key(video_id)):
        counts[track.NAME] = _rewrite_tracks(root, video_id, keys)
    found = root.audit(video_id)
    absent = Absent.of(root, video_id)
    if found is not None and absent is not None:
        kept = tuple(a for a in found.answers if not (absent.concerns(a) or _names(a, stone.person_id)))
        names = tuple(r for r in found.renames if stone.person_id not in (r.person_id, r.becomes))
        root.write_text(root.audit_key(video_id), replace(found, answers=kept, renames=names).to_json())
    if root.files.keys(f"{root.crops_key(video_id)}/part-*.parquet"):
        counts[export.NAME] = _rewrite_shards(root, video_id, keys, progress)
    for name in (layout.NAME, track.NAME, audit.NAME, export.NAME):
        _restate(root, video_id, name, name in stone.current, counts.get(name, {}))


def _names(answer: Answer, person_id: int | None) -> bool:
    return person_id is not None and answer.person_id == person_id


def _rewrite_tracks(root: Root, video_id: str, gone: npt.NDArray[np.int64]) -> dict[str, Any]:
    faces = _faces(root, video_id)
    stay = ~np.isin(_keys(faces), gone)
    faces = faces.filter(stay)
    if not stay.all():
        with root.files.publish(root.tracks_key(video_id)) as path:
            write_faces(path, faces)
    between = pc.sum(pc.equal(faces["source"], schema.INTERPOLATED)).as_py() or 0
    return {"faces": faces.num_rows, "people": len(pc.unique(faces["person_id"])), "interpolated": between}


def _rewrite_shards(root: Root, video_id: str, gone: npt.NDArray[np.int64], progress: Progress) -> dict[str, Any]:
    """Replace the folder of shards by one without the removed crops; shards without any are linked, not rewritten."""
    parts = root.files.keys(f"{root.crops_key(video_id)}/part-*.parquet")
    tables = [opened(root.files.local(key)).read(columns=["person_id", "frame_idx"]) for key in parts]
    stay = [~np.isin(_keys(table), gone) for table in tables]
    kept = [part for part, rows in zip(parts, stay, strict=True) if rows.any()]
    counts = {"crops": int(sum(rows.sum() for rows in stay)), "parts": len(kept)}
    if all(rows.all() for rows in stay):
        return counts
    with root.files.publish_folder(root.crops_key(video_id)) as folder:
        number = 0
        for done, (key, rows) in enumerate(zip(parts, stay, strict=True)):
            progress(f"remove {video_id}", done, len(parts))
            target = folder / f"part-{number:03d}.parquet"
            if rows.all():
                _link(root.files.local(key), target)
            elif rows.any():
                _filter_shard(root.files.local(key), target, rows)
            number += bool(rows.any())
    progress(f"remove {video_id}", len(parts), len(parts))
    return counts


def _filter_shard(source: Path, target: Path, stay: npt.NDArray[np.bool_]) -> None:
    """Write a shard without some of its rows, as an export would have written the others."""
    place = target.parent / f".{target.name}"
    place.mkdir()
    names = [f.name for f in schema.CROP_FIELDS if f.name != "encoded_size"]
    with CropWriter(place) as writer:
        low = 0
        for batch in batches(source, names, 256):
            rows = stay[low : low + batch.num_rows]
            low += batch.num_rows
            for row in batch.filter(pa.array(rows)).to_pylist():
                writer.add(row)
    writer.parts[0].replace(target)
    place.rmdir()


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _restate(root: Root, video_id: str, name: str, is_current: bool, counts: dict[str, Any]) -> None:
    """Rewrite a stage's ledger entry as if the removed faces had been missing in its run."""
    entry = root.stage_record(name, video_id)
    done = entry.standing if entry is not None else None
    if entry is None or done is None:
        return
    outputs = {key: sha256_of(root.files.local(key)) for key in STAGES[name].writes(root, video_id)}
    known = {key: value for key, value in counts.items() if key in done.counts}
    done = replace(done, outputs=outputs, counts={**done.counts, **known})
    if is_current:
        done = replace(done, input_hash=STAGES[name].reads(root, video_id))
    root.write_stage_record(done if entry.status == "done" else replace(entry, last_done=done))


def _current(root: Root, video_id: str) -> tuple[str, ...]:
    """Stages of a video whose standing results are those of its present inputs."""
    found = []
    for name, stage in STAGES.items():
        entry = root.stage_record(name, video_id)
        done: StageRecord | None = entry.standing if entry is not None else None
        if done is not None and done.input_hash == stage.reads(root, video_id):
            found.append(name)
    return tuple(found)


def _faces(root: Root, video_id: str) -> pa.Table:
    """Face rows of a video; none if it is not tracked."""
    key = root.tracks_key(video_id)
    if not root.files.exists(key):
        return schema.faces().empty_table()
    return read_faces(root.files.local(key))


def _packed(person_id: int, frame_idx: int) -> int:
    return (person_id << 32) + frame_idx


def _keys(table: pa.Table) -> npt.NDArray[np.int64]:
    """Person and frame of each row as one number."""
    people = table["person_id"].to_numpy().astype(np.int64)
    return np.asarray((people << 32) + table["frame_idx"].to_numpy(), np.int64)


def _count_crops(root: Root, video_id: str, gone: npt.NDArray[np.int64]) -> int:
    parts = root.files.keys(f"{root.crops_key(video_id)}/part-*.parquet")
    tables = (opened(root.files.local(key)).read(columns=["person_id", "frame_idx"]) for key in parts)
    return sum(int(np.isin(_keys(table), gone).sum()) for table in tables)


def _hashes(
    root: Root, video_id: str, gone: npt.NDArray[np.int64], progress: Progress
) -> dict[int, tuple[bytes, bytes | None]]:
    """Hashes of the bytes of each removed crop, and perceptual hashes of some, by key."""
    found: dict[int, tuple[bytes, bytes | None]] = {}
    seen: dict[int, int] = {}
    for key in root.files.keys(f"{root.crops_key(video_id)}/part-*.parquet"):
        for batch in batches(root.files.local(key), ["person_id", "frame_idx", "image"], 256):
            keys = _keys(pa.Table.from_batches([batch]))
            pictures = batch["image"].field("bytes")
            for row in np.flatnonzero(np.isin(keys, gone)).tolist():
                data, person = pictures[row].as_py(), int(keys[row]) >> 32
                looks = seen.get(person, 0) % _LOOKS == 0
                seen[person] = seen.get(person, 0) + 1
                found[int(keys[row])] = hashlib.sha256(data).digest(), _likeness(data) if looks else None
            progress(f"hash {video_id}", len(found), len(gone))
    return found


def _likeness(data: bytes) -> bytes | None:
    try:
        return likeness(decode(data))
    except ValueError:
        # A damaged crop is removed too.
        return None


def _rows(gone: pa.Table, number: int, hashes: dict[int, tuple[bytes, bytes | None]]) -> pa.Table:
    """Rows of `removed_schema()` for the removed face rows."""
    found = [hashes.get(int(key), (None, None)) for key in _keys(gone)]
    columns = {name: gone[name] for name in ("person_id", "frame_idx", "x0", "y0", "x1", "y1")}
    return pa.table(
        {
            "tombstone": pa.array([number] * gone.num_rows, pa.int32()),
            **columns,
            "content": pa.array([content for content, _ in found], pa.binary(32)),
            "likeness": pa.array([look for _, look in found], pa.binary(32)),
        },
        schema=removed_schema(),
    )
