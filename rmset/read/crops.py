"""Random access to the pixels of a root: a row number in, a picture out."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmset.errors import RootError
from rmset.parts.frames import Image
from rmset.parts.shards import opened
from rmset.store import Root

_OPEN_FILES = 64


@dataclass(frozen=True)
class CropKeys:
    """Who and when, for each crop of a root, in the order of its shards. N crops."""

    video_ids: list[str]
    video: npt.NDArray[np.int32]
    """(N,) position in `video_ids`"""
    person: npt.NDArray[np.int32]
    """(N,) person_id"""
    frame: npt.NDArray[np.int32]
    """(N,) frame_idx of the source"""
    time_ms: npt.NDArray[np.float64]
    """(N,)"""

    def __len__(self) -> int:
        """Number of crops."""
        return len(self.video)

    def name(self, row: int) -> str:
        """The row as `VIDEO:PERSON:FRAME`."""
        return f"{self.video_ids[self.video[row]]}:{self.person[row]}:{self.frame[row]}"

    def row(self, video_id: str, person: int, frame: int) -> int:
        """The row of one crop.

        Raises:
            RootError: there is no such crop.
        """
        if video_id in self.video_ids:
            code = self.video_ids.index(video_id)
            found = np.flatnonzero((self.video == code) & (self.person == person) & (self.frame == frame))
            if len(found):
                return int(found[0])
        raise RootError(f"crop {video_id}:{person}:{frame}: not in the root; `rmset sql` over `crops` lists what is")


class CropStore:
    """All crops of a root by row number, 0 to N - 1.

    Can be pickled and used in forked or spawned workers: files are opened anew in each process, and at most 64 at once.

    Raises:
        RootError: the root has no crops.
        ShardError: a shard is broken.
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self._files = root.files.keys("crops/*/part-*.parquet")
        if not self._files:
            raise RootError(f"root {root.path}: has no crops; run `rmset export` first")
        self.keys, self._first_row, self._group_rows = self._read_keys()
        self._opened: OrderedDict[int, Any] = OrderedDict()
        self._pid = os.getpid()

    def _read_keys(self) -> tuple[CropKeys, npt.NDArray[np.int64], list[int]]:
        ids = sorted({key.split("/")[1] for key in self._files})
        video, person, frame, times = [], [], [], []
        first_row, group_rows = [0], []
        for key in self._files:
            file = opened(self._root.files.local(key))
            table = file.read(columns=["person_id", "frame_idx", "time_ms"])
            video.append(np.full(table.num_rows, ids.index(key.split("/")[1]), np.int32))
            person.append(table["person_id"].to_numpy().astype(np.int32))
            frame.append(table["frame_idx"].to_numpy().astype(np.int32))
            times.append(table["time_ms"].to_numpy())
            first_row.append(first_row[-1] + table.num_rows)
            group_rows.append(file.metadata.row_group(0).num_rows if file.num_row_groups else 1)
        keys = CropKeys(ids, *(np.concatenate(part) for part in (video, person, frame, times)))
        return keys, np.asarray(first_row, np.int64), group_rows

    def __len__(self) -> int:
        """Number of crops."""
        return len(self.keys)

    def __getstate__(self) -> dict[str, Any]:
        """Open files stay behind."""
        return {**self.__dict__, "_opened": OrderedDict()}

    def read(self, rows: Sequence[int] | npt.NDArray[np.integer]) -> list[bytes]:
        """The encoded picture of each row, in the order asked for.

        Raises:
            IndexError: a row is not between 0 and N - 1.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError(f"expected rows 0 to {len(self) - 1}, found {wanted.min()} to {wanted.max()}")
        result: list[bytes] = [b""] * len(wanted)
        # In file order, so that each row group is read once.
        group: tuple[int, int] | None = None
        column: Any = None
        for position in np.argsort(wanted, kind="stable"):
            row = int(wanted[position])
            file = int(np.searchsorted(self._first_row, row, side="right")) - 1
            within = row - int(self._first_row[file])
            here = (file, within // self._group_rows[file])
            if here != group:
                group = here
                table = self._file(file).read_row_group(here[1], columns=["image.bytes"])
                column = table["image"].combine_chunks().field("bytes")
            result[position] = column[within % self._group_rows[file]].as_py()
        return result

    def images(self, rows: Sequence[int] | npt.NDArray[np.integer]) -> list[Image]:
        """The decoded picture of each row, uint8 (H, W, 3) RGB."""
        return [decode(data) for data in self.read(rows)]

    def _file(self, number: int) -> Any:
        if self._pid != os.getpid():
            # A forked child must not share file positions with its parent.
            self._opened, self._pid = OrderedDict(), os.getpid()
        if number not in self._opened:
            self._opened[number] = opened(self._root.files.local(self._files[number]))
            if len(self._opened) > _OPEN_FILES:
                self._opened.popitem(last=False)
        self._opened.move_to_end(number)
        return self._opened[number]


def decode(data: bytes) -> Image:
    """An encoded picture as uint8 (H, W, 3) RGB."""
    import simplejpeg

    if simplejpeg.is_jpeg(data):
        return np.asarray(simplejpeg.decode_jpeg(data, colorspace="RGB"), dtype=np.uint8)
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("expected an encoded picture, found bytes that are none")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
