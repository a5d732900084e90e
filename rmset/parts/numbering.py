"""The one numbering of a video's frames: 0, 1, 2, … in the order in which a player shows them.

A frame is an output of the decoder, from the file's first packet on; undecodable frames, and those hidden by an edit
list, have no number. So the whole video is decoded once, when it is added (`rmset.parts.survey`); the result is
`FrameIndex`, used by every reader. Frames are identified by their packet, never by the container's times, which are
missing, duplicated or restarting in some files.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rmset.bounded import open_regular, parse_json
from rmset.errors import RootError
from rmset.parts.display import Size, Turn

VERSION = 1
"""Version of the numbering. Raised when numbers, times or pixels of a video may change."""
_ABOUT = b"rmset.frames"


@dataclass(frozen=True)
class Key:
    """A key frame from which decoding can start."""

    frame: int
    packet: int
    pos: int
    """byte in the file"""
    size: int
    """bytes"""
    seek: int
    """time to seek to, in the stream's time base"""


@dataclass(frozen=True)
class FrameIndex:
    """Frames of a video: times, packets, display size."""

    time_ms: npt.NDArray[np.float64]
    """float64 (N,), when each frame is shown, since the first; not decreasing"""
    packet: npt.NDArray[np.int32]
    """int32 (N,), the packet that each frame comes from, counted from 0 as they lie in the file"""
    stored: Size
    """(width, height) to which every picture is brought before it is turned: square pixels"""
    shape: float
    """width of a stored pixel by its height"""
    turn: Turn
    codec: str
    fps: float
    """average frames per second"""
    packets: int
    key_frames: tuple[Key, ...] = ()
    """in the order of their frames"""
    can_skip: bool = False
    """whether packets between wanted frames may be skipped"""
    one_thread: bool = False
    """whether the file is damaged: then only one thread decodes it reproducibly"""
    fault: str | None = None
    """fault of a readable file, one line"""
    notes: dict[str, str] = field(default_factory=dict)
    """corrections that players apply and plain readers do not, by kind, one line each"""

    def __len__(self) -> int:
        """Count the frames shown."""
        return len(self.time_ms)

    @property
    def size(self) -> Size:
        """(width, height) as shown: square pixels, upright."""
        return self.turn.size(self.stored)

    @property
    def duration_s(self) -> float:
        """Duration from the start of the first frame to the end of the last."""
        return float(self.time_ms[-1]) / 1000 + 1 / self.fps

    @cached_property
    def keys(self) -> tuple[int, ...]:
        """Numbers of the key frames, ascending."""
        return tuple(key.frame for key in self.key_frames)

    @cached_property
    def frame_of(self) -> npt.NDArray[np.int32]:
        """int32 (packets,): frame of each packet; -1 if it has none."""
        found = np.full(self.packets, -1, np.int32)
        found[self.packet] = np.arange(len(self), dtype=np.int32)
        return found

    @cached_property
    def is_counted(self) -> bool:
        """Whether frames can only be counted, because one packet can hold several."""
        return len(np.unique(self.packet)) < len(self.packet)

    def key_before(self, frame_idx: int) -> int:
        """Return the last key frame up to a frame; the first frame if there is none."""
        at = bisect_right(self.keys, frame_idx)
        return self.keys[at - 1] if at else 0

    def write(self, path: Path) -> None:
        """Write the index beside a record: one row per frame; the rest is metadata."""
        table = pa.table({"time_ms": self.time_ms, "packet": self.packet})
        about = {k: v for k, v in asdict(self).items() if k not in ("time_ms", "packet")} | {"version": VERSION}
        pq.write_table(table.replace_schema_metadata({_ABOUT: json.dumps(about).encode()}), path, compression="zstd")

    @classmethod
    def read(cls, path: Path) -> FrameIndex | None:
        """Read an index; None if it has another version of the numbering.

        Raises:
            RootError: the file is damaged.
        """
        try:
            open_regular(path).close()
            # Not `read_table`, which imports `pyarrow.dataset` with all that it can read.
            with pq.ParquetFile(path) as file:
                table = file.read()
            about: dict[str, Any] = parse_json((table.schema.metadata or {})[_ABOUT].decode(), "its metadata")
            if about.pop("version") != VERSION:
                return None
            about["stored"], about["turn"] = tuple(about["stored"]), Turn(**about["turn"])
            about["key_frames"] = tuple(Key(**key) for key in about["key_frames"])
            return cls(table["time_ms"].to_numpy(), table["packet"].to_numpy(), **about)
        except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
            raise RootError(
                f"{path}: expected an index of frames, found {type(error).__name__}; remove it, and `rmset build` "
                "makes it again"
            ) from error
