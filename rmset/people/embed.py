"""Embeddings of a few sharp faces of each track, computed from the source video and stored in the root."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from rmset.errors import RootError
from rmset.files import hash_of
from rmset.geometry import as_boxes
from rmset.parts.identity import Embedder
from rmset.progress import Progress, silent
from rmset.read.embeddings import Embedded, read_embeddings
from rmset.read.persons import tracks_hash
from rmset.read.video import reader_of
from rmset.root import Root
from rmset.stages.audit.tracked import Tracks, in_their_panels

FACES = 12
"""faces per track"""
_FEWEST = 3
# Frames of the grid that all tracks of a video share, so that few frames are decoded.
_GRID = 36
# As in the audit: score and height (px) of a face that is worth comparing.
_LEAST_SCORE, _LEAST_FACE = 0.9, 28
_VERSION = 1


def embed(root: Root, video_id: str, embedder: Embedder, progress: Progress = silent) -> Embedded:
    """Return the embeddings of a video; they are computed and stored unless those of its present tracks are there.

    Raises:
        RootError: another process works on the video, or its files are damaged.
        VideoError: the video cannot be decoded.
    """
    with root.files.lock(video_id):
        inputs = hash_of([_VERSION, tracks_hash(root, video_id), FACES, _GRID, _LEAST_SCORE, _LEAST_FACE])
        known = _known(root, video_id)
        if known is not None and (known.embedder, known.inputs) == (embedder.name, inputs):
            return known
        made = _computed(root, video_id, embedder, inputs, progress)
        with root.files.publish(root.embeddings_key(video_id)) as path:
            made.write(path)
    return made


def _known(root: Root, video_id: str) -> Embedded | None:
    try:
        return read_embeddings(root, video_id)
    except RootError:
        # A damaged file is replaced.
        return None


def _computed(root: Root, video_id: str, embedder: Embedder, inputs: str, progress: Progress) -> Embedded:
    tracks = Tracks.of(root, video_id)
    chosen = choose(tracks, _sharp(root, video_id, tracks))
    by_frame: dict[int, list[int]] = defaultdict(list)
    for row in chosen.tolist():
        by_frame[int(tracks.frame[row])].append(row)
    found: list[tuple[int, npt.NDArray[np.float32]]] = []
    with reader_of(root, video_id) as reader:
        for done, frame in enumerate(reader.sample(sorted(by_frame))):
            rows = by_frame[frame.frame_idx]
            found += zip(rows, embedder.embed(frame.rgb, as_boxes(tracks.box[rows])), strict=True)
            progress(f"embed {video_id}", done + 1, len(by_frame))
    found.sort(key=lambda f: (tracks.name[f[0]], tracks.frame[f[0]]))
    order = np.array([row for row, _ in found], np.int64)
    vectors = np.stack([v for _, v in found]) if found else np.empty((0, 1), np.float32)
    return Embedded(
        video_id, embedder.name, inputs, tracks.name[order].astype(np.int16), tracks.frame[order].astype(np.int32),
        as_boxes(tracks.box[order]), np.asarray(vectors, np.float32),
    )  # fmt: skip


def _sharp(root: Root, video_id: str, tracks: Tracks) -> npt.NDArray[np.bool_]:
    """Mask of the face rows that are worth comparing: sharp, large, and whole inside their panels."""
    sharp = (tracks.score >= _LEAST_SCORE) & (tracks.box[:, 3] - tracks.box[:, 1] >= _LEAST_FACE)
    if root.has_layout(video_id):
        layout = root.layout(video_id)
        for segment in layout.segments:
            low, high = np.searchsorted(tracks.frame, [segment.start_frame, segment.end_frame])
            rows = np.flatnonzero(sharp[low:high]) + low
            if len(rows):
                inside = in_their_panels(segment, tracks.name[rows], tracks.box[rows], layout.frame_size)
                sharp[rows[~inside]] = False
    return np.asarray(sharp)


def choose(tracks: Tracks, sharp: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Rows of the faces to compare: up to `FACES` per track, mostly in frames that the tracks share."""
    frames = np.unique(tracks.frame[sharp])
    if not len(frames):
        return np.empty(0, np.int64)
    grid = frames[np.unique(np.linspace(0, len(frames) - 1, _GRID).round().astype(np.int64))]
    chosen = []
    for person in np.unique(tracks.name[sharp]):
        mine = np.flatnonzero(sharp & (tracks.name == person))
        shared = mine[np.isin(tracks.frame[mine], grid)]
        rows = shared if len(shared) >= _FEWEST else mine
        chosen.append(rows[np.unique(np.linspace(0, len(rows) - 1, FACES).round().astype(np.int64))])
    return np.concatenate(chosen)
