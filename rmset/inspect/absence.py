"""Proof that removed videos, people and crops are gone: by key, by content hash and by perceptual hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rmset.errors import RmsetError
from rmset.inspect.verify import Finding
from rmset.parts.hashsearch import alike
from rmset.parts.likeness import BYTES, Hashes, likeness
from rmset.parts.pictures import decode
from rmset.parts.shards import batches, keys_of, read_faces
from rmset.progress import Progress, silent
from rmset.read.absent import Absent, read_removed
from rmset.read.embeddings import read_embeddings
from rmset.read.fingerprints import copy_of, kept_fingerprint, of_removed
from rmset.read.leftovers import unfinished
from rmset.read.persons import KEY as PERSONS
from rmset.read.persons import UNFINISHED, stored_persons
from rmset.read.predictions import keys_for, read_predictions
from rmset.root import Root
from rmset.tombstones import Tombstone

SAME_PICTURE = 12
"""Bits of 256 in which a re-encoded or rescaled copy of a crop may differ."""
_AGAIN = "run `rmset remove` without arguments to finish it"


def absence(root: Root, progress: Progress = silent) -> Iterator[Finding]:
    """Check that no removed data are left in a root; yield findings.

    - keys: no file of a removed video, no face row or crop of a removed face;
    - content: no source video and no crop, of any video, has the bytes of a removed one;
    - pixels: no crop, of any video, looks like a removed one (difference of their perceptual hashes).

    Args:
        root: the data set.
        progress: progress callback on videos.

    Raises:
        RootError: what was removed cannot be read.
    """
    removed = root.removed()
    for stone in removed:
        if stone.state == "pending":
            yield Finding(stone.video_id, "removed.json", f"the removal of {stone.key} is unfinished", _AGAIN)
        for key in unfinished(root, stone.video_id) if not root.files.is_locked(stone.video_id) else ():
            yield Finding(stone.video_id, key, "an unfinished or replaced file, of a process that was killed", _AGAIN)
        if stone.what == "video":
            yield from _files(root, stone)
    for video_id in sorted({t.video_id for t in removed if t.what != "video"}):
        yield from _faces(root, video_id)
    yield from _persons(root)
    yield from _pictures(root, progress)
    yield from _sources(root)
    yield from _copies(root, progress)


def _files(root: Root, stone: Tombstone) -> Iterator[Finding]:
    """Report files of a removed video."""
    video_id = stone.video_id
    allowed = {root.removed_key(video_id), root.removed_fingerprint_key(video_id), root.state_key("fetch", video_id)}
    patterns = (f"*/{video_id}.*", f"*/*/{video_id}.*", f"crops/{video_id}/*", f"state/downloads/{video_id}/*")
    for key in sorted({key for pattern in patterns for key in root.files.keys(pattern)} - allowed):
        yield Finding(video_id, key, f"a file of {video_id}, which was removed", f"remove {key}")


def _faces(root: Root, video_id: str) -> Iterator[Finding]:
    """Report face rows, people of the layout, answers of the audit and crops of removed faces."""
    absent = Absent.of(root, video_id)
    if absent is None or root.removed().video(video_id) is not None:
        return
    key = root.tracks_key(video_id)
    known = np.empty(0, np.int64)
    try:
        if root.files.exists(key):
            faces = read_faces(root.files.local(key))
            known = keys_of(faces)
            if left := int(absent.rows(faces).sum()):
                yield Finding(video_id, key, f"{left} face rows of removed faces", _AGAIN, "track")
        if root.has_layout(video_id) and (layout := root.layout(video_id)) != absent.left_of(layout):
            people = sum(len(s.people) for s in layout.segments)
            left = people - sum(len(s.people) for s in absent.left_of(layout).segments)
            yield Finding(video_id, root.layout_key(video_id), f"{left} places of removed people", _AGAIN)
        found = root.audit(video_id)
        shown = sum(map(absent.concerns, found.answers)) if found is not None else 0
        if shown:
            yield Finding(video_id, root.audit_key(video_id), f"{shown} answers show removed faces", _AGAIN)
        embedded = read_embeddings(root, video_id)
        shown = int(absent.faces(embedded.frame_idx, embedded.boxes).sum()) if embedded is not None else 0
        if shown:
            yield Finding(video_id, root.embeddings_key(video_id), f"{shown} embeddings of removed faces", _AGAIN)
        # The id may belong to another person now, whose crops have face rows.
        gone = np.setdiff1d(keys_of(read_removed(root, video_id)), known)
        for key in root.files.keys(f"{root.crops_key(video_id)}/part-*.parquet"):
            columns = batches(root.files.local(key), ["person_id", "frame_idx"], 1 << 16)
            rows = sum(int(np.isin(keys_of(batch), gone).sum()) for batch in columns)
            if rows:
                yield Finding(video_id, key, f"{rows} crops of removed faces", _AGAIN, "export")
        for key in keys_for(root, video_id):
            if rows := int(np.isin(keys_of(read_predictions(root.files.local(key))), gone).sum()):
                yield Finding(video_id, key, f"{rows} predictions of removed faces", f"remove {key}")
    except RmsetError as error:
        yield Finding(video_id, key, f"cannot be checked: {error}", "run `rmset verify --repair`")


def _persons(root: Root) -> Iterator[Finding]:
    """Report rows of removed people and videos in the table of persons."""
    if root.files.exists(UNFINISHED) and not root.files.is_locked("persons"):
        yield Finding(
            "", UNFINISHED, "an unfinished table of persons, of a process that was killed", f"remove {UNFINISHED}"
        )
    removed = root.removed()
    try:
        rows = [row for row in stored_persons(root) if removed.of(row.video_id)]
    except RmsetError as error:
        yield Finding("", PERSONS, f"cannot be checked: {error}", "restore it, or remove it")
        return
    for video_id in sorted({row.video_id for row in rows}):
        absent = None if removed.video(video_id) is not None else Absent.of(root, video_id)
        mine = [row for row in rows if row.video_id == video_id]
        left = sum(absent is None or absent.shows(row.frame_idx, row.box) for row in mine)
        if left:
            yield Finding(video_id, PERSONS, f"{left} tracks of removed people", _AGAIN)


def _pictures(root: Root, progress: Progress) -> Iterator[Finding]:
    """Report crops of any video that have the bytes of a removed crop, or look like one."""
    gone = _Gone.of(root)
    if not gone.contents:
        return
    ids = root.video_ids()
    for done, video_id in enumerate(ids):
        progress("verify removals", done, len(ids))
        for key in root.files.keys(f"{root.crops_key(video_id)}/part-*.parquet"):
            try:
                yield from _shard(root, video_id, key, gone)
            except RmsetError as error:
                yield Finding(video_id, key, f"cannot be checked: {error}", "run `rmset verify --repair`")
    progress("verify removals", len(ids), len(ids))


@dataclass(frozen=True)
class _Gone:
    """Hashes of the removed crops of a root."""

    contents: dict[bytes, frozenset[tuple[str, int]]]
    """hash of the bytes -> (video, person) that may have such a crop, as they lost only single crops"""
    looks: Hashes
    """(N, 32) perceptual hashes of people and videos; single crops look like their neighbors, which stay"""

    @classmethod
    def of(cls, root: Root) -> _Gone:
        stones = root.removed().entries
        contents: dict[bytes, frozenset[tuple[str, int]]] = {}
        looks: set[bytes] = set()
        for video_id in sorted({t.video_id for t in stones}):
            for row in (
                read_removed(root, video_id).select(["tombstone", "person_id", "content", "likeness"]).to_pylist()
            ):
                single = stones[row["tombstone"]].what == "crops"
                if row["content"] is not None:
                    own = frozenset({(video_id, row["person_id"])}) if single else frozenset()
                    contents[row["content"]] = contents.get(row["content"], own) & own
                if row["likeness"] is not None and not single:
                    looks.add(row["likeness"])
        return cls(contents, np.frombuffer(b"".join(sorted(looks)), np.uint8).reshape(-1, BYTES))


def _shard(root: Root, video_id: str, key: str, gone: _Gone) -> Iterator[Finding]:
    same, hashes = 0, bytearray()
    for batch in batches(root.files.local(key), ["person_id", "image"], 256):
        people = batch["person_id"].to_pylist()
        for person_id, data in zip(people, batch["image"].field("bytes").to_pylist(), strict=True):
            may_keep = gone.contents.get(hashlib.sha256(data).digest())
            same += may_keep is not None and (video_id, person_id) not in may_keep
            try:
                hashes += likeness(decode(data))
            except ValueError:
                # A damaged crop is a finding of `verify`.
                continue
    remedy = "the same video under another name? remove it too: `rmset remove --video` or `--person`"
    if same:
        yield Finding(video_id, key, f"{same} crops have the bytes of removed ones", remedy)
    ours = np.frombuffer(bytes(hashes), np.uint8).reshape(-1, BYTES)
    close = {row for row, _, _ in alike(ours, gone.looks, SAME_PICTURE)}
    if close:
        yield Finding(video_id, key, f"{len(close)} crops look like removed ones", remedy)


def _sources(root: Root) -> Iterator[Finding]:
    """Report source videos with the bytes of a removed one."""
    gone = {t.sha256: t.key for t in root.removed() if t.what == "video"}
    for key in root.files.keys("videos/*"):
        if not gone or key.endswith(".json"):
            continue
        if (stone := gone.get(root.files.sha256(key))) is not None:
            video_id = key.removeprefix("videos/").partition(".")[0]
            yield Finding(video_id, key, f"has the bytes of {stone}, which was removed", f"remove {key}")


def _copies(root: Root, progress: Progress) -> Iterator[Finding]:
    """Report videos that look like a removed one: encoded again, mirrored, cropped, faster or slower."""
    removed = list(of_removed(root))
    for video_id in root.video_ids() if removed else ():
        key = root.record_key(video_id)
        try:
            found = copy_of(kept_fingerprint(root, video_id, keep=False, progress=progress), removed)
        except (RmsetError, OSError) as error:
            yield Finding(video_id, key, f"cannot be compared with removed videos: {error}", "run `rmset verify`")
            continue
        if found is not None:
            stone, how = found
            remedy = f"look at it, and remove it too: `rmset remove --video {video_id}`"
            yield Finding(video_id, key, f"looks like {stone.video_id}, which was removed ({how})", remedy)
