"""One data set: paths of its files, records of its videos, and the ledger of finished stages."""

from __future__ import annotations

import os
import re
from pathlib import Path

from rmset.answers import Audit
from rmset.errors import LayoutError, RmsetError, RootError, UnreadableError
from rmset.files import Files, Stamp, hash_of
from rmset.layout_record import Layout
from rmset.local_files import LocalFiles
from rmset.records import VIDEO_ID, StageRecord, VideoRecord, check_video_id
from rmset.remote import is_remote, open_files
from rmset.tombstones import KEY as REMOVED
from rmset.tombstones import Tombstones

DEFAULT_ROOT = Path("data/rmset")
RUN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
"""names of runs in `predictions/`"""


class Root:
    """One data set: a directory with videos, layouts, tracks, crops, and the ledger of finished stages."""

    def __init__(self, path: Path | str, files: Files | None = None) -> None:
        self.files: Files = files if files is not None else _files(path)
        self._removed: tuple[Stamp, Tombstones] | None = None

    @classmethod
    def find(cls, path: Path | str | None = None) -> Root:
        """Return the root: the given path, else `$RMSET_ROOT`, else `data/rmset`."""
        return cls(path or os.environ.get("RMSET_ROOT") or DEFAULT_ROOT)

    @property
    def path(self) -> Path:
        """The folder of a data set in a directory.

        Raises:
            RootError: it is elsewhere.
        """
        if isinstance(self.files, LocalFiles):
            return self.files.folder
        raise RootError(f"root {self.place}: expected a data set in a folder of this machine, found one elsewhere")

    @property
    def place(self) -> str:
        """Where the data set is, for messages and reports."""
        return self.files.place()

    # Paths; defined only here.

    @staticmethod
    def record_key(video_id: str) -> str:
        """Key of a video's record."""
        return f"videos/{check_video_id(video_id)}.json"

    @staticmethod
    def layout_key(video_id: str) -> str:
        """Key of a video's layout: trigger regions and people."""
        return f"layouts/{check_video_id(video_id)}.json"

    @staticmethod
    def tracks_key(video_id: str) -> str:
        """Key of a video's face rows, without pixels."""
        return f"tracks/{check_video_id(video_id)}.parquet"

    @staticmethod
    def crops_key(video_id: str) -> str:
        """Key of the folder with a video's shards of crops."""
        return f"crops/{check_video_id(video_id)}"

    @staticmethod
    def frames_key(video_id: str) -> str:
        """Key of a video's frame index: time and packet of each frame."""
        return f"frames/{check_video_id(video_id)}.parquet"

    @staticmethod
    def audit_key(video_id: str) -> str:
        """Key of a video's audit."""
        return f"audit/{check_video_id(video_id)}.json"

    @staticmethod
    def embeddings_key(video_id: str) -> str:
        """Key of the face embeddings of a video's tracks."""
        return f"embeddings/{check_video_id(video_id)}.parquet"

    @staticmethod
    def removed_key(video_id: str) -> str:
        """Key of the rows that were removed from a video."""
        return f"removed/{check_video_id(video_id)}.parquet"

    @staticmethod
    def predictions_key(run: str, video_id: str) -> str:
        """Key of a run's predictions for a video's faces.

        Raises:
            RootError: the run's name cannot be that of a folder.
        """
        if not RUN_NAME.fullmatch(run):
            raise RootError(f"expected a name of letters, digits, . _ - for the run, found '{run[:80]}'")
        return f"predictions/{run}/{check_video_id(video_id)}.parquet"

    @staticmethod
    def removed_fingerprint_key(video_id: str) -> str:
        """Key of the fingerprint by which copies of a removed video are recognized."""
        return f"removed/{check_video_id(video_id)}.fingerprint.parquet"

    @staticmethod
    def truth_key(video_id: str) -> str:
        """Key of a video's ground truth; only generated roots have it."""
        return f"truth/{check_video_id(video_id)}.truth.json"

    @staticmethod
    def state_key(stage: str, video_id: str) -> str:
        """Key of the ledger entry of a stage and video."""
        return f"state/{stage}/{check_video_id(video_id)}.json"

    def video_key(self, video_id: str) -> str:
        """Return the key of the source video.

        Raises:
            RootError: the root has no such video.
        """
        found = [k for k in self.files.keys(f"videos/{check_video_id(video_id)}.*") if not k.endswith(".json")]
        if not found:
            raise RootError(
                f"video {video_id}: its file is missing from {self.files.place('videos')}; add or fetch it again"
            )
        return found[0]

    def video_path(self, video_id: str) -> Path:
        """Return a path from which the source video can be read; raises as `video_key`."""
        return self.files.local(self.video_key(video_id))

    # Contents.

    def video_ids(self) -> list[str]:
        """Ids of all videos, sorted, without those hidden by a removal."""
        names = (Path(k).stem for k in self.files.keys("videos/*.json"))
        hidden = self.removed().hidden
        return [name for name in names if VIDEO_ID.fullmatch(name) and name not in hidden]

    def removed(self) -> Tombstones:
        """Return the list of removals from the data set.

        Raises:
            RootError: the list cannot be read.
        """
        try:
            stamp = self.files.stamp(REMOVED)
            if self._removed is None or self._removed[0] != stamp:
                text = self.files.read_text(REMOVED)
                self._removed = stamp, Tombstones.from_json(text, self.files.place(REMOVED))
        except FileNotFoundError:
            return Tombstones()
        except UnreadableError as error:
            raise RootError(f"{error}; restore it from a backup") from error
        return self._removed[1]

    def select(self, video_ids: list[str] | None) -> list[str]:
        """Return the given ids, or all; each must exist.

        Raises:
            RootError: an id is unknown, or the root is empty.
        """
        known, removed = self.video_ids(), self.removed()
        for video_id in video_ids or ():
            if video_id in removed.hidden:
                removed.refuse(video_id)
                raise RootError(f"video {video_id}: its removal is unfinished; run `rmset remove` to finish it")
        if not known:
            raise RootError(f"root {self.place}: no video in it; take some in with `rmset add FILE` or `rmset fetch`")
        if not video_ids:
            return known
        for video_id in video_ids:
            if video_id not in known:
                raise RootError(f"video {video_id!r}: not in root {self.place}; it has {_some(known)}")
        return list(dict.fromkeys(video_ids))

    def record(self, video_id: str) -> VideoRecord:
        """Return the record of a video.

        Raises:
            RootError: there is no such video, or its record cannot be read.
        """
        key = self.record_key(video_id)
        try:
            record = VideoRecord.from_json(self.files.read_text(key))
        except FileNotFoundError:
            raise RootError(f"video {video_id}: not in root {self.place}; add or fetch it") from None
        except (RootError, UnreadableError) as error:
            place = self.files.place(key)
            raise RootError(f"{place}: {str(error).removeprefix(f'{place}: ')}") from error
        if record.video_id != video_id:
            raise RootError(
                f"{self.files.place(key)}: expected the record of {video_id}, found that of {record.video_id}; "
                "add or fetch the video again"
            )
        return record

    def records(self, left_out: list[str] | None = None) -> list[VideoRecord]:
        """Return the record of each video; unreadable ones are left out and count as failures of their video.

        Args:
            left_out: gets a line for each.
        """
        found = []
        for video_id in self.video_ids():
            try:
                found.append(self.record(video_id))
            except RmsetError as error:
                if left_out is not None:
                    left_out.append(f"video {video_id} is left out: {error}")
        return found

    def layouts(self, left_out: list[str] | None = None) -> list[Layout]:
        """Read the layouts; unreadable ones are left out, as in `records`."""
        found = []
        for video_id in self.video_ids():
            try:
                if self.has_layout(video_id):
                    found.append(self.layout(video_id))
            except RmsetError as error:
                if left_out is not None:
                    left_out.append(f"the layout of video {video_id} is left out: {error}")
        return found

    def has_layout(self, video_id: str) -> bool:
        """Whether the video has a layout."""
        return self.files.exists(self.layout_key(video_id))

    def layout(self, video_id: str) -> Layout:
        """Return the video's layout.

        Raises:
            RootError: there is none yet.
            LayoutError: the file is no layout.
        """
        key = self.layout_key(video_id)
        if not self.files.exists(key):
            raise RootError(f"video {video_id}: has no layout yet; run `rmset layout propose` first")
        try:
            text = self.files.read_text(key)
        except UnreadableError as error:
            raise LayoutError(f"{error}; `rmset layout propose --force {video_id}` makes another") from error
        layout = Layout.from_json(text, name=self.files.place(key))
        if layout.video_id != video_id:
            raise LayoutError(
                f"{self.files.place(key)}: expected the layout of {video_id}, found that of {layout.video_id}; "
                f"`rmset layout propose --force {video_id}` makes another"
            )
        return layout

    def audit(self, video_id: str) -> Audit | None:
        """Return what the audit found; None if the video has not been audited.

        Raises:
            RootError: the file is no audit, or another video's.
        """
        key = self.audit_key(video_id)
        if not self.files.exists(key):
            return None
        found = Audit.from_json(self.files.read_text(key), name=self.files.place(key))
        if found.video_id != video_id:
            raise RootError(
                f"{self.files.place(key)}: expected the audit of {video_id}, found that of {found.video_id}; "
                f"run `rmset audit --force {video_id}`"
            )
        return found

    def audits(self, left_out: list[str] | None = None) -> list[Audit]:
        """Return all audits; unreadable ones are left out, as in `records`."""
        found = []
        for video_id in self.video_ids():
            try:
                audit = self.audit(video_id)
            except RmsetError as error:
                if left_out is not None:
                    left_out.append(f"the audit of video {video_id} is left out: {error}")
                continue
            if audit is not None:
                found.append(audit)
        return found

    def confidence(self, video_id: str) -> float | None:
        """Return the least of the layout's confidence and the audit's; None without a layout or an unreadable one."""
        try:
            if not self.has_layout(video_id):
                return None
            least = min((s.confidence for s in self.layout(video_id).segments), default=0.0)
            audit = self.audit(video_id)
        except RmsetError:
            return None
        return least if audit is None else min(least, audit.confidence)

    # Writing.

    def write_removed(self, removed: Tombstones) -> None:
        """Write the list of removals; the caller holds the lock `removed`."""
        self.write_text(REMOVED, removed.to_json())

    def write_text(self, key: str, text: str) -> None:
        """Publish a small file."""
        with self.files.publish(key) as path:
            path.write_text(text, encoding="utf-8")

    def write_layout(self, layout: Layout) -> None:
        """Publish a layout."""
        self.write_text(self.layout_key(layout.video_id), layout.to_json())

    # The ledger.

    def stage_record(self, stage: str, video_id: str) -> StageRecord | None:
        """Return what a stage did with a video, if it ran.

        An unreadable entry is ignored: the stage runs again.
        """
        try:
            record = StageRecord.from_json(self.files.read_text(self.state_key(stage, video_id)))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return record if (record.stage, record.video_id) == (stage, video_id) else None

    def export_hash(self, video_id: str) -> str | None:
        """Return the hash of a video's shards as the ledger has them; None if it is not exported."""
        record = self.stage_record("export", video_id)
        done = record.standing if record is not None else None
        return hash_of(done.outputs) if done is not None else None

    def write_stage_record(self, record: StageRecord) -> None:
        """Publish what a stage did."""
        self.write_text(self.state_key(record.stage, record.video_id), record.to_json())


def _files(path: Path | str) -> Files:
    return open_files(path) if is_remote(path) else LocalFiles(Path(path))


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
