"""Delays of the people of a root, as a file: `fertrain pairs-quality` writes it, `semi --candidates delay` reads it.

    {"schema": 1, "root": …, "run": …, "unit": "frames",
     "videos": {video_id: {person_id: {"delay": frames or null, "correlation": …}}}}

Delays are against the mean of a video's people: only their differences mean anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rmset.read.crops import CropKeys

from ..errors import DatasetError
from ..writing import write_json
from .rmset import tracks_of

SCHEMA = 1


@dataclass(frozen=True)
class Delays:
    """By person of each video."""

    frames: Mapping[tuple[str, int], float | None]
    """(video_id, person_id) -> frames later than the video's mean; None where nothing could be estimated."""

    def of(self, keys: CropKeys) -> npt.NDArray[np.float64]:
        """The delay (N,) of each crop's person, frames; NaN where it is not known."""
        track = tracks_of(keys)
        tracks = np.unique(track)
        known = [self.frames.get((keys.video_ids[t >> 16], t & 0xFFFF)) for t in tracks.tolist()]
        return np.array([np.nan if d is None else d for d in known], dtype=np.float64)[np.searchsorted(tracks, track)]


def write_delays(
    path: Path, videos: Mapping[str, Mapping[int, tuple[float | None, float]]], *, root: str, run: str
) -> None:
    """Write estimates: video_id -> person_id -> (frames or None, correlation)."""
    table = {
        video: {
            str(person): {"delay": None if delay is None else round(delay, 2), "correlation": round(correlation, 4)}
            for person, (delay, correlation) in people.items()
        }
        for video, people in videos.items()
    }
    values = {"schema": SCHEMA, "root": root, "run": run, "unit": "frames", "videos": table}
    write_json(path, values)


def read_delays(path: Path) -> Delays:
    """Read what `write_delays` wrote.

    Raises:
        DatasetError: there is no such file, or it is none of these.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["schema"] > SCHEMA or raw["unit"] != "frames":
            raise DatasetError(
                f"expected delays of schema {SCHEMA} in frames in {path}, found schema {raw['schema']} in "
                f"{raw['unit']}; update, or write it anew with `fertrain pairs-quality`"
            )
        return Delays({
            (video, int(person)): None if entry["delay"] is None else float(entry["delay"])
            for video, people in raw["videos"].items()
            for person, entry in people.items()
        })  # fmt: skip
    except OSError:
        raise DatasetError(
            f"expected a file of delays at {path}, found none; `fertrain pairs-quality RUN --root ROOT` writes it"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"expected a file of delays at {path}, found something else ({error!r}); `fertrain pairs-quality` writes it"
        ) from None
