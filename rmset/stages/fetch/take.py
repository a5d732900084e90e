"""Add a checked file to the root: hash, link or copy, then write its record."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from rmset.errors import FetchError
from rmset.files import sha256_of
from rmset.parts.media import refuse_holes
from rmset.parts.probe import VIDEO_SUFFIXES, Probe, probe
from rmset.progress import Progress, silent
from rmset.read.fingerprints import refuse_copy
from rmset.records import VideoRecord, check_video_id, local_video_id
from rmset.root import Root
from rmset.stages.fetch.check import decode_key_frames
from rmset.stages.fetch.cut import suffix_of


def add(
    root: Root,
    path: Path,
    *,
    title: str | None = None,
    copy: bool = False,
    allow_copies_of: Collection[str] = (),
    progress: Progress = silent,
    **known: Any,
) -> VideoRecord:
    """Add a local file.

    The file is probed before anything is written. It is hard-linked if the file system allows, else copied. Videos are
    identified by content: adding the same bytes again changes nothing.

    Args:
        root: where to.
        path: the file.
        title: else the stem of its name.
        copy: copy even if a hard link is possible.
        allow_copies_of: ids of removed videos that this one may look like.
        progress: called while the file is decoded.
        known: further fields of the record (license, split, …).

    Raises:
        VideoError: the file is missing, empty, or no video.
        RootError: the root cannot be written to, or the file is, or looks like, a removed video.
    """
    if path.is_file():
        refuse_holes(path)
    if path.is_file() and path.stat().st_size:
        if (taken := _taken(root, path)) is not None:
            return taken
        root.removed().refuse(path.name, sha256_of(path))
    found = probe(path, progress)
    if found.fault is None:
        try:
            decode_key_frames(path)
        except FetchError as error:
            # Local files with faults are accepted; the record names the fault.
            found = replace(found, fault=str(error))
    sha256 = sha256_of(path)
    video_id = local_video_id(path.stem, sha256)
    refuse_copy(root, path.name, path, found.index, allow_copies_of, progress)
    suffix = path.suffix.lower() if path.suffix.lower() in VIDEO_SUFFIXES else suffix_of(path)
    with root.files.lock(f"content-{sha256[:16]}"), root.files.lock(video_id):
        same = _with_bytes(root, sha256)
        if same is not None:
            return same
        if root.files.exists(root.record_key(video_id)) and root.files.keys(f"videos/{video_id}{suffix}"):
            return root.record(video_id)
        known = {"title": title or printable(path.stem), **known}
        return publish(root, path, video_id, found, sha256, suffix=suffix, copy=copy, known=known)


def _taken(root: Root, path: Path) -> VideoRecord | None:
    """Return the record of a file that is already in the root, to avoid decoding it again."""
    video_id = local_video_id(path.stem, sha256_of(path))
    if not root.files.exists(root.record_key(video_id)) or not root.files.exists(root.frames_key(video_id)):
        return None
    files = [key for key in root.files.keys(f"videos/{video_id}.*") if not key.endswith(".json")]
    return root.record(video_id) if files else None


def publish(
    root: Root, path: Path, video_id: str, found: Probe, sha256: str, *, suffix: str, copy: bool, known: dict[str, Any]
) -> VideoRecord:
    """Publish a probed file under its id; the caller holds the video's lock.

    Raises:
        RootError: the video was removed from this root.
    """
    root.removed().refuse(video_id, sha256, known.get("source_url"))
    record = VideoRecord(
        video_id=check_video_id(video_id), sha256=sha256, bytes=path.stat().st_size, **found.fields(), **known
    )
    text, fresh = record.to_json(), not root.files.exists(root.record_key(video_id))
    with root.files.publish(f"videos/{video_id}{suffix}") as target:
        _link_or_copy(path, target, copy)
    # Renaming onto another link to the same file does nothing, and keeps the old name.
    target.unlink(missing_ok=True)
    for key in root.files.keys(f"videos/{video_id}.*"):
        # One file per video: remove an older one in another container.
        if not key.endswith((".json", suffix)):
            root.files.remove(key)
    try:
        with root.files.publish(root.frames_key(video_id)) as target:
            found.index.write(target)
        # The record comes last: a video without one was not added.
        root.write_text(root.record_key(video_id), text)
    except BaseException:
        if fresh:
            for key in (root.frames_key(video_id), *root.files.keys(f"videos/{video_id}.*")):
                root.files.remove(key)
        raise
    return record


def printable(name: str) -> str:
    """Return a file's name as text; bytes that are no UTF-8 become the sign for an unknown character.

    >>> printable("caf" + chr(0xDCE9))
    'caf�'
    """
    return os.fsencode(name).decode("utf-8", errors="replace")


def _with_bytes(root: Root, sha256: str) -> VideoRecord | None:
    """Return the video of the root that has these bytes, or had them before it was blanked, if its file is there."""
    blanked = root.removed().blanked(sha256)
    for record in root.records():
        if (record.sha256 == sha256 or record.video_id == blanked) and record.section is None:
            files = root.files.keys(f"videos/{record.video_id}.*")
            if any(not key.endswith(".json") for key in files):
                return record
    return None


def _link_or_copy(source: Path, target: Path, copy: bool) -> None:
    target.unlink(missing_ok=True)
    if not copy:
        try:
            os.link(source.resolve(), target)
        except OSError:
            # Another file system, or one without links.
            pass
        else:
            return
    shutil.copyfile(source, target)
