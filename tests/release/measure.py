"""Figures of a rebuilt video: which frames, boxes and crops are those of the original root."""

import cv2
import numpy as np

from rmset.parts.pictures import decode
from rmset.parts.shards import read_faces
from rmset.read.catalog import Catalog
from rmset.read.video import reader_of
from rmset.release.rebuilt import released_rows

CROPS = "select person_id, frame_idx, image.bytes as data from crops where video_id = '{}' order by all"
SIZE = (480, 270)
NEAR = 3


def crops_of(root, video_id):
    rows = Catalog(root).run(CROPS.format(video_id)).rows()
    return {(row["person_id"], row["frame_idx"]): row["data"] for row in rows}


def psnr(a, b):
    error = np.mean((decode(a).astype(float) - decode(b).astype(float)) ** 2)
    return 10 * np.log10(255**2 / max(error, 1e-9))


def of_crops(original, own, rebuilt, name, every=1):
    """PSNR of each rebuilt crop with the original one."""
    before, after = crops_of(original, own), crops_of(rebuilt, name)
    pairs = [
        ((row["person_id"], row["frame_idx"]), (row["person_id"], row["here"]))
        for row in released_rows(rebuilt, name).to_pylist()[::every]
        if row["here"] >= 0
    ]
    return np.array([psnr(before[a], after[b]) for a, b in pairs if a in before and b in after])


def frames_of(root, video_id, wanted, region=None):
    """Gray thumbnails of frames, of the part of the frame in which the original lies."""
    found = {}
    with reader_of(root, video_id) as reader:
        for frame in reader.frames(stop=max(wanted) + 1):
            if frame.frame_idx in wanted:
                gray = frame.gray
                if region is not None:
                    x0, y0, x1, y1 = region
                    gray = gray[y0:y1, x0:x1]
                found[frame.frame_idx] = cv2.resize(gray, SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)
    return found


def wrong_frames(original, own, rebuilt, name, *, every=7, region=None):
    """Frames of the rebuilt video that show another original frame than the one they were given, by their pixels.

    Returns:
        How many were compared, and (frame here, frame given, frame that fits best) of each wrong one.
    """
    rows = released_rows(rebuilt, name).to_pylist()
    given = dict(sorted({row["here"]: row["frame_idx"] for row in rows if row["here"] >= 0}.items()))
    chosen = {here: given[here] for here in list(given)[::every]}
    near = {f + k for f in chosen.values() for k in range(-NEAR, NEAR + 1) if f + k >= 0}
    before, after = frames_of(original, own, near), frames_of(rebuilt, name, set(chosen), region)
    wrong = []
    for here, frame in chosen.items():
        apart = {
            f: float(((before[f] - after[here]) ** 2).mean()) for f in near & set(before) if abs(f - frame) <= NEAR
        }
        best = min(apart, key=apart.get)
        # Frames that are alike to a hundredth cannot be told apart.
        if best != frame and apart[best] < 0.99 * apart[frame]:
            wrong.append((here, frame, best))
    return len(chosen), wrong


def of_boxes(rebuilt, name, mapped):
    """Largest distance, px, of the rebuilt boxes from the released ones mapped by the true geometry."""
    rows = {(r["person_id"], r["here"]): r for r in released_rows(rebuilt, name).to_pylist()}
    worst = 0.0
    for face in read_faces(rebuilt.files.local(rebuilt.tracks_key(name))).to_pylist():
        released = rows[face["person_id"], face["frame_idx"]]
        true = mapped([released[side] for side in ("x0", "y0", "x1", "y1")])
        worst = max(worst, *(abs(face[s] - t) for s, t in zip(("x0", "y0", "x1", "y1"), true, strict=True)))
    return worst
