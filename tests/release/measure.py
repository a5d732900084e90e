"""Figures of a rebuilt video: which frames, boxes and crops are those of the original root."""

import cv2
import numpy as np

from rmset.parts.frames import VideoReader
from rmset.parts.pictures import decode
from rmset.parts.shards import read_faces
from rmset.read.catalog import Catalog
from rmset.release.rebuilt import released_rows
from rmset.synth.encode import Encoder

CROPS = "select person_id, frame_idx, image.bytes as data from crops where video_id = '{}' order by all"


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


def numbered(path, count, rate, size):
    """Encode a video whose frames show their numbers as 4 x 4 blocks of light and dark."""
    with Encoder(path, size, rate, crf=12) as encoder:
        for n in range(count):
            blocks = np.array([255 if n >> bit & 1 else 0 for bit in range(16)], np.uint8).reshape(4, 4)
            image = cv2.resize(blocks, size, interpolation=cv2.INTER_NEAREST)
            encoder.write(np.repeat(image[..., None], 3, axis=2))
    return path


def numbers_in(path, region):
    """Read the numbers of all frames, from the part of the frame in which the original lies."""
    x0, y0, x1, y1 = region
    found = []
    with VideoReader(path) as reader:
        for frame in reader.frames():
            part = cv2.resize(frame.gray[y0:y1, x0:x1], (64, 64), interpolation=cv2.INTER_AREA)
            light = part.reshape(4, 16, 4, 16)[:, 4:12, :, 4:12].mean(axis=(1, 3)) > 127
            found.append(sum(1 << bit for bit in range(16) if light.reshape(-1)[bit]))
    return found


def wrong_frames(rebuilt, name, numbers):
    """Frames given another released frame than they show: how many are given, (here, given, true) of the wrong ones."""
    rows = released_rows(rebuilt, name).to_pylist()
    given = {row["here"]: row["frame_idx"] for row in rows if row["here"] >= 0}
    return len(given), [(h, f, numbers[h]) for h, f in sorted(given.items()) if numbers[h] != f]


def of_boxes(rebuilt, name, mapped):
    """Largest distance, px, of the rebuilt boxes from the released ones mapped by the true geometry."""
    rows = {(r["person_id"], r["here"]): r for r in released_rows(rebuilt, name).to_pylist()}
    worst = 0.0
    for face in read_faces(rebuilt.files.local(rebuilt.tracks_key(name))).to_pylist():
        released = rows[face["person_id"], face["frame_idx"]]
        true = mapped([released[side] for side in ("x0", "y0", "x1", "y1")])
        worst = max(worst, *(abs(face[s] - t) for s, t in zip(("x0", "y0", "x1", "y1"), true, strict=True)))
    return worst
