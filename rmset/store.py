"""The root: where every file of a data set lies, how files get there whole, and what has been done.

Keys are relative POSIX paths (`tracks/abc.parquet`). Everything that touches the file system goes through `Files`,
so that an object store can stand in its place; `LocalFiles` is the one for a directory.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rmset.errors import RootError
from rmset.records import Layout, StageRecord, VideoRecord, check_video_id

DEFAULT_ROOT = Path("data/rmset")
PARTIAL = ".partial"


class Files(Protocol):
    """What a root needs of the place it lies in."""

    def exists(self, key: str) -> bool:
        """Whether a file or folder of this key is there."""

    def read_text(self, key: str) -> str:
        """The text of a file."""

    def keys(self, pattern: str) -> list[str]:
        """The keys that match a glob, sorted; unfinished files are no keys."""

    def local(self, key: str) -> Path:
        """A path from which the file can be read."""

    def publish(self, key: str) -> Any:
        """Context manager: a path to write to; on success the file appears under its key, whole, or not at all."""

    def publish_folder(self, key: str) -> Any:
        """Context manager: a folder to fill; on success it replaces what was under its key."""

    def remove(self, key: str) -> None:
        """Remove a file or folder; nothing happens if there is none."""

    def lock(self, key: str) -> Any:
        """Context manager: hold what only one process at a time may hold."""


class LocalFiles:
    """Files in a directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def exists(self, key: str) -> bool:
        """Whether a file or folder of this key is there."""
        return self.local(key).exists()

    def read_text(self, key: str) -> str:
        """The text of a file."""
        return self.local(key).read_text(encoding="utf-8")

    def keys(self, pattern: str) -> list[str]:
        """The keys that match a glob, sorted; unfinished files are no keys."""
        found = (p.relative_to(self.folder) for p in self.folder.glob(pattern))
        return sorted(str(p.as_posix()) for p in found if not any(part.endswith(PARTIAL) for part in p.parts))

    def local(self, key: str) -> Path:
        """A path from which the file can be read."""
        return self.folder / key

    @contextmanager
    def publish(self, key: str) -> Iterator[Path]:
        """Give a path to write to; on success the file appears under its key, whole, or not at all."""
        target = self.local(key)
        with _told(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            # One name per target: what a killed process left behind is overwritten, never collected.
            partial = target.with_name(f".{target.name}{PARTIAL}")
            try:
                yield partial
                _sync(partial)
                partial.replace(target)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
            _sync(target.parent)

    @contextmanager
    def publish_folder(self, key: str) -> Iterator[Path]:
        """Give a folder to fill; on success it replaces what was under its key."""
        target = self.local(key)
        partial, old = (target.with_name(f".{target.name}{end}{PARTIAL}") for end in ("", ".old"))
        with _told(target):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            try:
                yield partial
                for path in sorted(partial.iterdir()):
                    _sync(path)
                _sync(partial)
                # A folder cannot replace a full one in one step. Killed between these two, the folder is missing and
                # the ledger does not know the new one: the stage runs again.
                shutil.rmtree(old, ignore_errors=True)
                if target.exists():
                    target.replace(old)
                partial.replace(target)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            _sync(target.parent)
            shutil.rmtree(old, ignore_errors=True)

    def remove(self, key: str) -> None:
        """Remove a file or folder; nothing happens if there is none."""
        path = self.local(key)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold what only one process at a time may hold; the system lets go of it when the process dies."""
        path = self.local(f"state/locks/{key}")
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = path.open("w")
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RootError(f"{key}: another process is working on it; wait for it or stop it") from None
            yield


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into one line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RootError(f"{path}: no space left on the disk; free some and run the same command again") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            raise RootError(
                f"{path}: expected a place to write to, found {(error.strerror or '').lower()}; "
                "choose another place, with --root, $RMSET_ROOT or --out"
            ) from error
        raise


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_of(value: Any) -> str:
    """Hex sha256 of a JSON-like value; equal values, equal hash, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


class Root:
    """One data set: a directory with videos, layouts, tracks, crops, and the ledger of what has been done."""

    def __init__(self, path: Path | str, files: Files | None = None) -> None:
        self.path = Path(path)
        self.files: Files = files if files is not None else LocalFiles(self.path)

    @classmethod
    def find(cls, path: Path | str | None = None) -> Root:
        """The root that is meant: the path given, else `$RMSET_ROOT`, else `data/rmset`."""
        return cls(path or os.environ.get("RMSET_ROOT") or DEFAULT_ROOT)

    # Where things lie. The one place that knows.

    @staticmethod
    def record_key(video_id: str) -> str:
        """What is known of a video."""
        return f"videos/{check_video_id(video_id)}.json"

    @staticmethod
    def layout_key(video_id: str) -> str:
        """Trigger regions and people."""
        return f"layouts/{check_video_id(video_id)}.json"

    @staticmethod
    def tracks_key(video_id: str) -> str:
        """Face rows without pixels."""
        return f"tracks/{check_video_id(video_id)}.parquet"

    @staticmethod
    def crops_key(video_id: str) -> str:
        """The folder of the shards with pixels."""
        return f"crops/{check_video_id(video_id)}"

    @staticmethod
    def truth_key(video_id: str) -> str:
        """What is known for certain; only roots that were generated have it."""
        return f"truth/{check_video_id(video_id)}.truth.json"

    @staticmethod
    def state_key(stage: str, video_id: str) -> str:
        """What a stage did."""
        return f"state/{stage}/{check_video_id(video_id)}.json"

    def video_path(self, video_id: str) -> Path:
        """The source video.

        Raises:
            RootError: the root has no such video.
        """
        found = [k for k in self.files.keys(f"videos/{check_video_id(video_id)}.*") if not k.endswith(".json")]
        if not found:
            raise RootError(f"video {video_id}: its file is missing from {self.path / 'videos'}; add or fetch it again")
        return self.files.local(found[0])

    # What is there.

    def video_ids(self) -> list[str]:
        """Ids of all videos that were taken, sorted."""
        return [Path(k).stem for k in self.files.keys("videos/*.json")]

    def select(self, video_ids: list[str] | None) -> list[str]:
        """The ids asked for, or all; each must be there.

        Raises:
            RootError: an id is unknown, or the root is empty.
        """
        known = self.video_ids()
        if not known:
            raise RootError(f"root {self.path}: no video in it; take some in with `rmset add FILE` or `rmset fetch`")
        if not video_ids:
            return known
        for video_id in video_ids:
            if video_id not in known:
                raise RootError(f"video {video_id!r}: not in root {self.path}; it has {_some(known)}")
        return list(dict.fromkeys(video_ids))

    def record(self, video_id: str) -> VideoRecord:
        """What is known of a video."""
        return VideoRecord.from_json(self.files.read_text(self.record_key(video_id)))

    def has_layout(self, video_id: str) -> bool:
        """Whether the video has a layout."""
        return self.files.exists(self.layout_key(video_id))

    def layout(self, video_id: str) -> Layout:
        """The video's layout.

        Raises:
            RootError: there is none yet.
            LayoutError: the file is no layout.
        """
        key = self.layout_key(video_id)
        if not self.files.exists(key):
            raise RootError(f"video {video_id}: has no layout yet; run `rmset layout propose` first")
        return Layout.from_json(self.files.read_text(key), name=str(self.files.local(key)))

    # What is written.

    def write_text(self, key: str, text: str) -> None:
        """Publish a small file."""
        with self.files.publish(key) as path:
            path.write_text(text, encoding="utf-8")

    def write_layout(self, layout: Layout) -> None:
        """Publish a layout."""
        self.write_text(self.layout_key(layout.video_id), layout.to_json())

    # The ledger.

    def stage_record(self, stage: str, video_id: str) -> StageRecord | None:
        """What a stage did with a video, if it ran."""
        key = self.state_key(stage, video_id)
        try:
            return StageRecord.from_json(self.files.read_text(key))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            # A ledger entry that cannot be read says nothing; the stage runs again.
            return None

    def write_stage_record(self, record: StageRecord) -> None:
        """Publish what a stage did."""
        self.write_text(self.state_key(record.stage, record.video_id), record.to_json())


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
