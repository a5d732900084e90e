"""Rewriting of all files of a video without what a tombstone names; repeating it changes nothing."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rmset import schema
from rmset.answers import Answer
from rmset.errors import RootError
from rmset.layout_record import Layout
from rmset.parts.shards import CropWriter, batches, keys_of, opened, write_faces
from rmset.people.forget import forget_video, keep_persons, leave_persons
from rmset.pipeline import STAGES
from rmset.progress import Progress
from rmset.read import predictions
from rmset.read.absent import Absent, read_removed
from rmset.read.duplicates import forget_duplicates
from rmset.read.embeddings import read_embeddings
from rmset.read.index import FOLDER as INDEX
from rmset.read.leftovers import sweep
from rmset.read.rows import rows_key
from rmset.records import StageRecord
from rmset.removal.rows import face_rows
from rmset.removal.source import replace_source
from rmset.root import Root
from rmset.stages import audit, export, layout, track
from rmset.stages.fetch.arrive import DOWNLOADS
from rmset.tombstones import Tombstone

LOCK = "removed"


def carry_out(root: Root, number: int, stone: Tombstone, progress: Progress) -> Tombstone:
    """Rewrite the files of a pending removal; the caller holds the video's lock."""
    # A killed process may have left unfinished or replaced files, with what is removed in them.
    sweep(root, stone.video_id)
    if stone.what == "video":
        _drop(root, stone.video_id)
    else:
        _rewrite(root, number, stone, progress)
    # Derived from all shards; rebuilt at the next use.
    root.files.remove(INDEX)
    root.files.remove(rows_key(stone.video_id))
    forget_duplicates(root)
    stone = replace(stone, state="done")
    with root.files.lock(LOCK):
        root.write_removed(root.removed().with_entry(stone, number))
    return stone


def _drop(root: Root, video_id: str) -> None:
    """Remove every file of a video but its removed rows; the record goes last."""
    keep = {root.removed_key(video_id), root.removed_fingerprint_key(video_id), root.record_key(video_id)}
    for pattern in (f"*/{video_id}.*", f"*/{video_id}", f"state/*/{video_id}.*", f"*/*/{video_id}.*"):
        for key in root.files.keys(pattern):
            if key not in keep:
                root.files.remove(key)
    forget_video(root, video_id)
    root.files.remove(root.crops_key(video_id))
    root.files.remove(f"{DOWNLOADS}/{video_id}")
    root.files.remove(root.record_key(video_id))


def _rewrite(root: Root, number: int, stone: Tombstone, progress: Progress) -> None:
    """Remove the faces from layout, tracks, audit and shards, and update the ledger."""
    video_id = stone.video_id
    removed = read_removed(root, video_id)
    removed = removed.filter(pc.equal(removed["tombstone"], number))
    keys = np.unique(keys_of(removed))
    counts: dict[str, dict[str, Any]] = {}
    if stone.blank is not None:
        replace_source(root, stone, removed, progress)
    if stone.person_id is not None and root.has_layout(video_id):
        before = root.layout(video_id)
        after = _without(before, stone, Absent.of(root, video_id))
        if after != before:
            root.write_layout(after)
    leave_persons(root, video_id, keys)
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
    _rewrite_embeddings(root, video_id, keys)
    for name in (layout.NAME, track.NAME, audit.NAME, export.NAME):
        _restate(root, video_id, name, name in stone.current, counts.get(name, {}))
    predictions.without(root, video_id, keys, stone.export)
    keep_persons(root, video_id)


def _without(drawn: Layout, stone: Tombstone, absent: Absent | None) -> Layout:
    """Return a layout without the removed person: by id if the tracks come from it, else by their boxes."""
    if track.NAME not in stone.current:
        return drawn if absent is None else absent.left_of(drawn)
    people = [tuple(p for p in s.people if p.person_id != stone.person_id) for s in drawn.segments]
    return replace(drawn, segments=tuple(replace(s, people=p) for s, p in zip(drawn.segments, people, strict=True)))


def _names(answer: Answer, person_id: int | None) -> bool:
    return person_id is not None and answer.person_id == person_id


def _rewrite_tracks(root: Root, video_id: str, gone: npt.NDArray[np.int64]) -> dict[str, Any]:
    faces = face_rows(root, video_id)
    stay = ~np.isin(keys_of(faces), gone)
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
    stay = [~np.isin(keys_of(table), gone) for table in tables]
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


def _rewrite_embeddings(root: Root, video_id: str, gone: npt.NDArray[np.int64]) -> None:
    """Remove the embeddings of removed faces; a damaged file goes as a whole, as it can be made again."""
    key = root.embeddings_key(video_id)
    try:
        found = read_embeddings(root, video_id)
    except RootError:
        root.files.remove(key)
        return
    if found is None:
        return
    absent = Absent.of(root, video_id)
    stay = ~np.isin(found.keys, gone)
    if absent is not None:
        # Embeddings of outdated tracks may have other ids.
        stay &= ~absent.faces(found.frame_idx, found.boxes)
    if not stay.all():
        with root.files.publish(key) as path:
            found.take(stay).write(path)


def _restate(root: Root, video_id: str, name: str, is_current: bool, counts: dict[str, Any]) -> None:
    """Rewrite a stage's ledger entry as if the removed faces had been missing in its run."""
    entry = root.stage_record(name, video_id)
    done = entry.standing if entry is not None else None
    if entry is None or done is None:
        return
    outputs = {key: root.files.sha256(key) for key in STAGES[name].writes(root, video_id)}
    known = {key: value for key, value in counts.items() if key in done.counts}
    done = replace(done, outputs=outputs, counts={**done.counts, **known})
    if is_current:
        done = replace(done, input_hash=STAGES[name].reads(root, video_id))
    root.write_stage_record(done if entry.status == "done" else replace(entry, last_done=done))


def current_stages(root: Root, video_id: str) -> tuple[str, ...]:
    """Stages of a video whose standing results are those of its present inputs."""
    found = []
    for name, stage in STAGES.items():
        entry = root.stage_record(name, video_id)
        done: StageRecord | None = entry.standing if entry is not None else None
        if done is not None and done.input_hash == stage.reads(root, video_id):
            found.append(name)
    return tuple(found)
