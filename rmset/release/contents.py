"""Finished videos of a root: what a release is made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from rmset.errors import RmsetError, RootError
from rmset.layout_record import Layout
from rmset.parts.shards import read_faces
from rmset.progress import Progress
from rmset.read.absent import Absent
from rmset.read.persons import read_persons
from rmset.records import StageRecord, VideoRecord
from rmset.release import tables
from rmset.release.hashes import Frames, frames_of
from rmset.release.names import published_url
from rmset.removal.carry_out import current_stages
from rmset.root import Root
from rmset.stages import export, layout, track

Links = dict[tuple[str, int], dict[str, Any]]
"""(video_id, person_id) -> person_key, similarity, link (`linked` or `manual`)"""


@dataclass(frozen=True)
class Finished:
    """One video whose stages are all done and up to date."""

    record: VideoRecord
    layout: Layout
    configs: Mapping[str, str]
    """stage -> its settings, JSON"""
    crops: int

    @property
    def video_id(self) -> str:
        """Id in the root."""
        return self.record.video_id

    def faces(self, root: Root) -> pa.Table:
        """Return its face rows, by person and frame, as `tables.faces()`.

        Raises:
            RootError: removed faces are among them.
        """
        rows = read_faces(root.files.local(root.tracks_key(self.video_id)))
        absent = Absent.of(root, self.video_id)
        if absent is not None and absent.rows(rows).any():
            raise RootError(
                f"video {self.video_id}: expected tracks without removed people, found some; "
                "run `rmset verify --removed`"
            )
        rows = rows.sort_by([("person_id", "ascending"), ("frame_idx", "ascending")])
        columns = {name: rows[name] for name in rows.column_names} | {"source": rows["source"].cast(pa.string())}
        return pa.table(columns, schema=tables.faces())

    def row(self, root: Root, faces: pa.Table, progress: Progress) -> tuple[dict[str, Any], Frames]:
        """Return its row of `videos.parquet`, with the id of the root, and its frames."""
        r = self.record
        seen = frames_of(root, self.video_id, progress)
        x0, y0, x1, y1 = (int(v) for v in seen.picture or (0, 0, *r.frame_size))
        start, end = r.section or (None, None)
        return {
            "video_id": r.video_id, "source_url": published_url(r.source_url),
            "license": None if r.license is None else " ".join(r.license.split())[:200],
            "width": r.width, "height": r.height, "fps": r.fps, "frame_count": r.frame_count,
            "duration_s": r.duration_s, "codec": r.codec, "sha256": r.sha256, "bytes": r.bytes,
            "section_start_s": start, "section_end_s": end, "numbering": r.numbering,
            "picture_x0": x0, "picture_y0": y0, "picture_x1": x1, "picture_y1": y1,
            "people": len(np.unique(faces["person_id"].to_numpy())), "faces": faces.num_rows, "crops": self.crops,
            "reviewed": bool(self.layout.segments) and all(s.reviewed for s in self.layout.segments),
            **{f"{stage}_config": config for stage, config in self.configs.items()},
        }, seen  # fmt: skip


def finished(root: Root) -> tuple[list[Finished], list[str]]:
    """Return the finished videos of a root, by id, and a line for each that is not finished.

    Raises:
        RootError: the root has no video, a file is damaged, or a removal is unfinished.
    """
    for stone in root.removed():
        if stone.state == "pending":
            raise RootError(f"video {stone.video_id}: its removal is unfinished; run `rmset remove` to finish it")
    found, left_out = [], []
    for video_id in root.select(None):
        try:
            why = _unfinished(root, video_id)
            if why is not None:
                left_out.append(f"video {video_id} is left out: {why}")
                continue
            found.append(_finished(root, video_id))
        except RmsetError as error:
            raise RootError(f"{error}; `rmset verify --repair` may mend it") from error
    return found, left_out


def _unfinished(root: Root, video_id: str) -> str | None:
    if root.files.is_locked(video_id):
        return "another process works on it"
    if not root.has_layout(video_id):
        return "it has no layout; run `rmset build`"
    tracked, exported = (root.stage_record(name, video_id) for name in (track.NAME, export.NAME))
    if tracked is None or tracked.status != "done":
        return "it is not tracked; run `rmset build`"
    if exported is None or exported.status != "done":
        return "it is not exported; run `rmset build`"
    for key, sha256 in tracked.outputs.items():
        if not root.files.exists(key) or root.files.sha256(key) != sha256:
            raise RootError(f"{root.files.place(key)}: expected the bytes that stage track wrote, found others")
    if any(not root.files.exists(key) for key in exported.outputs):
        raise RootError(f"video {video_id}: expected the shards that stage export wrote, found some missing")
    current = current_stages(root, video_id)
    if stale := [name for name in (track.NAME, export.NAME) if name not in current]:
        return f"{stale[0]} is not up to date; run `rmset build`"
    return None


def _finished(root: Root, video_id: str) -> Finished:
    entries = {name: root.stage_record(name, video_id) for name in (layout.NAME, track.NAME, export.NAME)}
    done = entries[export.NAME]
    assert done is not None
    configs = {name: _settings(entry) for name, entry in entries.items()}
    return Finished(root.record(video_id), root.layout(video_id), configs, int(done.counts.get("crops", 0)))


def _settings(entry: StageRecord | None) -> str:
    """Return the settings of a stage, without paths."""
    config = dict(entry.config) if entry is not None else {}
    if config.get("weights") is not None:
        config["weights"] = "own file"
    return json.dumps(config, sort_keys=True)


def links_of(root: Root) -> Links:
    """Return who is the same person in several videos, if `rmset people link` was run.

    Keys are hashed, because those of the root may hold the names of files.

    Raises:
        RootError: the file is damaged.
    """
    return {
        row.track: {"person_key": _pseudonym(row.person_key), "similarity": row.similarity, "link": row.source}
        for row in read_persons(root)
    }


def _pseudonym(key: str) -> str:
    return f"person-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def renamed(drawn: Layout, video_id: str) -> Layout:
    """Return a layout under another id."""
    return replace(drawn, video_id=video_id, moved=None)
