"""The contact sheet: one row per person, time from left to right."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from rmset.errors import RootError
from rmset.inspect.preview import color, label, write_png
from rmset.read.crops import CropStore
from rmset.root import Root


def write(root: Root, video_id: str, output: Path, *, columns: int = 16, tile: int = 96) -> int:
    """Write the contact sheet of one video's crops as PNG.

    A column is one moment for all rows, so that reactions can be compared downwards; the tile is empty if a person has
    no face near that moment.

    Returns:
        Number of people.

    Raises:
        RootError: the video has no crops.
    """
    store = CropStore(root)
    keys = store.keys
    if video_id not in keys.video_ids:
        raise RootError(f"video {video_id}: has no crops yet; run `rmset export {video_id}` first")
    mine = keys.rows_of(keys.video_ids.index(video_id))
    people = sorted(set(keys.person[mine].tolist()))
    frames = keys.frame[mine]
    moments = np.linspace(frames.min(), frames.max(), columns)
    reach = (frames.max() - frames.min()) / max(columns, 1) / 2 + 1
    left, gap = 44, 3
    sheet = np.full((len(people) * (tile + gap) + 26, left + columns * (tile + gap), 3), 24, np.uint8)
    for line, person in enumerate(people):
        rows = mine[keys.person[mine] == person]
        top = line * (tile + gap) + 24
        label(sheet, f"{person}", (8, top + tile // 2 - 10), color(person))
        for column, moment in enumerate(moments):
            row = rows[np.abs(keys.frame[rows] - moment).argmin()]
            if abs(int(keys.frame[row]) - moment) > reach:
                continue
            x = left + column * (tile + gap)
            picture = cv2.resize(store.images([row])[0], (tile, tile), interpolation=cv2.INTER_AREA)
            sheet[top : top + tile, x : x + tile] = picture
    for column, moment in enumerate(moments):
        at = (left + column * (tile + gap) + 2, 16)
        cv2.putText(sheet, f"{moment:.0f}", at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (170, 170, 170), 1, cv2.LINE_AA)
    write_png(output, sheet)
    return len(people)
