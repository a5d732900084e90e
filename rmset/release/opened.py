"""A release as it is read: untrusted files, checked against its checksums and its schemas before they are used."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from rmset import schema
from rmset.bounded import parse_json, read_json, read_text
from rmset.errors import LayoutError, RootError, ShardError, UnreadableError, UsageError
from rmset.fields import fitting
from rmset.files import sha256_of
from rmset.geometry import Box
from rmset.layout_record import Layout
from rmset.parts.grid import Grid
from rmset.parts.shards import opened, read
from rmset.parts.tracks import SOURCES
from rmset.records import check_video_id
from rmset.release import removals, tables
from rmset.release.hashes import Frames
from rmset.release.names import published_url
from rmset.release.writing import CHECKSUMS, SCHEMA
from rmset.stages.export import ExportConfig

_LINE = re.compile(r"(?P<hash>[0-9a-f]{64})  (?P<name>[^\x00-\x1f]{1,300})")
_MOST_CHECKSUMS = 1 << 28


@dataclass(frozen=True)
class ReleasedVideo:
    """One video of a release."""

    video_id: str
    source_url: str | None
    license: str | None
    frame_size: tuple[int, int]
    frame_count: int
    duration_s: float
    sha256: str
    bytes: int
    numbering: int
    picture: Box
    """part of the frame inside black bars, px"""
    faces: int
    export: ExportConfig
    configs: dict[str, dict[str, Any]]
    """stage -> its settings"""


class Release:
    """A folder that `rmset publish` wrote.

    Raises:
        RootError: it is no release, or written by a newer program.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            about = read_json(path / "release.json")
            if about["schema"] > SCHEMA:
                raise RootError(f"{path}: expected a release of schema {SCHEMA}, found {about['schema']}; update rmset")
            self.name, self.version = str(about["name"]), str(about["version"])
            lines = read_text(path / CHECKSUMS, _MOST_CHECKSUMS).splitlines()
        except (FileNotFoundError, NotADirectoryError, UnreadableError, KeyError, TypeError) as error:
            what = " ".join(str(error).split())[:200]
            raise RootError(f"{path}: expected the folder of a release, found none ({what}); get it again") from error
        found = [_LINE.fullmatch(line) for line in lines]
        self._checksums = {m["name"]: m["hash"] for m in found if m is not None}
        self.digest = sha256_of(path / CHECKSUMS)
        """hash that tells this release from others"""

    def _checked(self, name: str) -> Path:
        """Return the path of a file whose bytes are those that were published."""
        path = self.path / name
        try:
            if sha256_of(path) != self._checksums.get(name):
                raise RootError(f"{path}: expected the bytes in {CHECKSUMS}, found others; get the release again")
        except (FileNotFoundError, UnreadableError) as error:
            raise RootError(f"{path}: expected a file of the release, found none; get the release again") from error
        return path

    def _table(self, name: str, expected: pa.Schema) -> pa.Table:
        path = self._checked(name)
        try:
            file = opened(path)
            try:
                return read(file, [f.name for f in expected]).cast(expected)
            finally:
                file.close()
        except (ShardError, pa.ArrowException, KeyError, ValueError) as error:
            what = " ".join(str(error).split())[:200]
            raise RootError(f"{path}: expected a table of a release, found none ({what}); get it again") from error

    @cached_property
    def videos(self) -> dict[str, ReleasedVideo]:
        """Videos by id."""
        rows = self._table("videos.parquet", tables.videos()).to_pylist()
        return {row["video_id"]: self._video(row) for row in rows}

    def _video(self, row: dict[str, Any]) -> ReleasedVideo:
        try:
            configs = {s: parse_json(row[f"{s}_config"], "settings") for s in ("layout", "track", "export")}
            known = {f.name for f in fields(ExportConfig)}
            settings = {k: v for k, v in configs["export"].items() if k in known}
            if settings.get("grid") is not None:
                settings["grid"] = Grid(**fitting(Grid, settings["grid"]))
            export = ExportConfig(**settings)
            x0, y0, x1, y1 = (float(row[f"picture_{side}"]) for side in ("x0", "y0", "x1", "y1"))
            if not (0 <= x0 < x1 <= row["width"] <= 1 << 16 and 0 <= y0 < y1 <= row["height"] <= 1 << 16):
                raise ValueError(f"a picture {x0},{y0},{x1},{y1} in {row['width']}x{row['height']}")
            if not re.fullmatch(r"[0-9a-f]{64}", row["sha256"]):
                raise ValueError("a hash of 64 digits")
            return ReleasedVideo(
                check_video_id(row["video_id"]), published_url(row["source_url"]), row["license"],
                (row["width"], row["height"]), row["frame_count"], row["duration_s"], row["sha256"], row["bytes"],
                row["numbering"], (x0, y0, x1, y1), row["faces"], export, configs,
            )  # fmt: skip
        except (UsageError, UnreadableError, TypeError, ValueError, AttributeError) as error:
            what = " ".join(str(error).split())[:200]
            raise RootError(f"{self.path / 'videos.parquet'}: not a table of videos ({what}); get it again") from error

    @cached_property
    def removed(self) -> list[removals.Removal]:
        """Removals, oldest first."""
        path = self._checked(removals.NAME)
        return removals.from_json(read_text(path, removals.MOST), str(path))

    def layout(self, video_id: str) -> Layout:
        """Return the layout of a video.

        Raises:
            RootError: it is missing or damaged.
        """
        path = self._checked(f"layouts/{check_video_id(video_id)}.json")
        try:
            found = Layout.from_json(read_text(path), name=str(path))
        except (LayoutError, UnreadableError) as error:
            raise RootError(str(error)) from error
        if (found.video_id, found.frame_size) != (video_id, self.videos[video_id].frame_size):
            raise RootError(f"{path}: expected the layout of {video_id}, found another; get the release again")
        return found

    def faces(self, video_id: str) -> pa.Table:
        """Return the face rows of a video as in a root, by person and frame.

        Raises:
            RootError: they are missing or damaged.
        """
        check_video_id(video_id)
        names = [name for split in tables.SPLITS if (name := f"tracks/{split}/{video_id}.parquet") in self._checksums]
        table = pa.concat_tables([tables.faces().empty_table(), *(self._table(n, tables.faces()) for n in names)])
        video = self.videos[video_id]
        frames = table["frame_idx"].to_numpy()
        strange = set(table["video_id"].unique().to_pylist()) - {video_id}
        if strange or (len(frames) and not (frames.min() >= 0 and frames.max() < video.frame_count)):
            raise RootError(f"{self.path}: expected face rows of {video_id}, found others; get the release again")
        table = table.sort_by([("person_id", "ascending"), ("frame_idx", "ascending")])
        number = {name: n for n, name in enumerate(SOURCES)}
        try:
            codes = pa.array([number[s] for s in table["source"].to_pylist()], pa.int8())
        except KeyError as error:
            raise RootError(f"{self.path}: expected sources {SOURCES}, found {error}; update rmset") from error
        columns = {name: table[name] for name in table.column_names}
        columns["source"] = pa.DictionaryArray.from_arrays(codes, list(SOURCES))
        return pa.table(columns, schema=schema.faces())

    def frames(self, video_id: str) -> Frames:
        """Return times and hashes of a video's frames.

        Raises:
            RootError: they are missing or damaged.
        """
        found = Frames.of_table(self._table(f"frames/{check_video_id(video_id)}.parquet", tables.frames()))
        return replace(found, picture=self.videos[video_id].picture)
