"""Recall of the detector and the tracker on kinds of hard faces, made from frames of the test clips.

    python -m benchmarks.hard_faces

A frame in which the exact detector finds a face is turned, darkened, shrunk or covered. The face counts as found if a
box has an IoU of at least one half with its known place. The tracker also knows the previous place of the face. A false
face has an IoU below a tenth. Profiles and glasses cannot be made this way and are not
measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.mashups import clips_folder
from rmset.geometry import Box, as_boxes, iou
from rmset.layout_record import Person
from rmset.parts.detect import load
from rmset.parts.detect.nets import Nets
from rmset.parts.follow import FollowConfig, Follower
from rmset.parts.frames import Image, VideoReader
from rmset.parts.pixels import IntegralPixels
from rmset.synth.clips import find_clips

FRAMES = 10
Made = tuple[npt.NDArray[np.uint8], Box]


def turned(degrees: float) -> Callable[[Image, Box], Made]:
    """Turn the picture about the face."""

    def make(image: Image, box: Box) -> Made:
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        matrix = cv2.getRotationMatrix2D(middle, degrees, 1.0)
        size = (image.shape[1], image.shape[0])
        return np.asarray(cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.uint8), box

    return make


def tall(height: float) -> Callable[[Image, Box], Made]:
    """Shrink the picture to a given height of the face, px."""

    def make(image: Image, box: Box) -> Made:
        scale = height / (box[3] - box[1])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        x0, y0, x1, y1 = (v * scale for v in box)
        return np.asarray(small, np.uint8), (x0, y0, x1, y1)

    return make


def dark(gain: float) -> Callable[[Image, Box], Made]:
    """Darken the picture and add camera noise."""

    def make(image: Image, box: Box) -> Made:
        noise = np.random.default_rng(0).normal(0, 4, image.shape)
        return np.clip(image * gain + noise, 0, 255).astype(np.uint8), box

    return make


def covered(share: float) -> Callable[[Image, Box], Made]:
    """Cover the lower part of the face, as a hand does."""

    def make(image: Image, box: Box) -> Made:
        x0, y0, x1, y1 = (round(v) for v in box)
        made = image.copy()
        made[max(0, round(y1 - share * (y1 - y0))) : y1, max(0, x0) : x1] = (196, 148, 122)
        return made, box

    return make


SLICES: dict[str, Callable[[Image, Box], Made]] = {
    "60 px": tall(60), "40 px": tall(40), "30 px": tall(30),
    "tilt 20°": turned(20), "tilt 35°": turned(35), "tilt 50°": turned(50),
    "dark, a quarter": dark(0.25), "dark, an eighth": dark(0.125), "dark, a sixteenth": dark(0.0625),
    "lower third covered": covered(0.33), "lower half covered": covered(0.5),
}  # fmt: skip
"""name -> how a frame is made hard"""


def main() -> None:
    """Measure, and print a table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    detector, nets = load("mtcnn"), Nets("auto")
    found: dict[str, list[bool]] = {name: [] for name in SLICES}
    tracked: dict[str, list[bool]] = {name: [] for name in SLICES}
    false: dict[str, int] = dict.fromkeys(SLICES, 0)
    for path in find_clips(clips_folder()):
        if not path.stem.startswith("person_"):
            continue
        with VideoReader(path) as reader:
            frames = list(reader.sample([int(v) for v in np.linspace(0, len(reader.index) - 1, FRAMES)]))
        for frame in frames:
            image = frame.rgb
            seen = detector.detect(image, 60).boxes
            if not len(seen):
                continue
            x0, y0, x1, y1 = (float(v) for v in seen[0])
            for name, make in SLICES.items():
                hard, box = make(image, (x0, y0, x1, y1))
                boxes = detector.detect(hard, 20 if "px" in name else 60).boxes
                follower = Follower(nets, [Person(0, box, panel_of(hard))], hard.shape[1::-1], (), FollowConfig())
                followed = follower.step(IntegralPixels(hard)).faces.boxes
                for hits, there in ((found, boxes), (tracked, followed)):
                    overlap = iou(as_boxes([box]), there)[0] if len(there) else np.zeros(0)
                    hits[name].append(bool((overlap >= 0.5).any()))
                    false[name] += int((overlap < 0.1).sum())
    print("| slice | detector | tracker | false faces | of |\n|---|---|---|---|---|")
    for name, hits in sorted(found.items(), key=lambda item: float(np.mean([*item[1], *tracked[item[0]]]))):
        print(f"| {name} | {np.mean(hits):.3f} | {np.mean(tracked[name]):.3f} | {false[name]} | {len(hits)} |")


def panel_of(image: Image) -> Box:
    """The whole picture as a panel."""
    return (0.0, 0.0, float(image.shape[1]), float(image.shape[0]))


if __name__ == "__main__":
    main()
