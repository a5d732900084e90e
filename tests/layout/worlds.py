"""Small worlds for layout tests: noise panels whose edges are known, and a root with one demo mashup."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import cv2
import numpy as np

from rmset.layout_record import Layout, Person, Segment, TriggerRegion
from rmset.root import Root
from rmset.stages import fetch

Box = tuple[int, int, int, int]


def noise(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A smooth random picture uint8 (H, W), whose neighboring pixels are alike like in real pictures."""
    few = rng.integers(20, 235, (6, 9)).astype(np.uint8)
    return cv2.resize(few, size, interpolation=cv2.INTER_CUBIC)


def screens(boxes: list[Box], size: tuple[int, int], count: int, seed: int = 0) -> list[np.ndarray]:
    """Frames uint8 (H, W) in which each box shows its own pictures; later boxes cover earlier ones."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(count):
        frame = np.zeros((size[1], size[0]), np.uint8)
        for x0, y0, x1, y1 in boxes:
            frame[y0:y1, x0:x1] = noise(rng, (x1 - x0, y1 - y0))
        frames.append(frame)
    return frames


def write_video(
    path: Path,
    frames: list[np.ndarray],
    rate: int = 25,
    times: list[int] | None = None,
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> Path:
    """RGB or gray frames; `times` are presentation times in 1/1000 s for a variable frame rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        # Odd sizes exist; only 4:4:4 can hold them.
        odd = stream.height % 2 or stream.width % 2
        stream.pix_fmt = "yuv444p" if odd else "yuv420p"
        if times is not None:
            from fractions import Fraction

            stream.codec_context.time_base = Fraction(1, 1000)
        for number, image in enumerate(frames):
            rgb = np.ascontiguousarray(np.repeat(image[..., None], 3, 2) if image.ndim == 2 else image)
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


# 16.16 fixed point, as in the header of an MP4 track: by how much a player turns the picture, clockwise.
_TURNS = {90: (0, 1, 0, -1, 0, 0, 0, 0, 1), 180: (-1, 0, 0, 0, -1, 0, 0, 0, 1), 270: (0, -1, 0, 1, 0, 0, 0, 0, 1)}


def turned(path: Path, degrees: int) -> Path:
    """Write a display matrix into the header of an MP4 file; the pixels stay as they are."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    matrix = [v * (1 << (30 if i % 3 == 2 else 16)) for i, v in enumerate(_TURNS[degrees])]
    content[at : at + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(bytes(content))
    return path


def plain_root(folder: Path, names: list[str]) -> Root:
    """A root of small videos with made-up layouts, the later the less confident."""
    root = Root(folder / "root")
    for number, name in enumerate(names):
        frames = screens([(0, 0, 320, 180)], (320, 180), 30, seed=number)
        record = fetch.add(root, write_video(folder / f"{name}.mp4", frames))
        people = (Person(0, (20.0, 20.0, 60.0, 70.0), (0.0, 0.0, 160.0, 180.0), "detected", 0.9),)
        region = TriggerRegion((200.0, 40.0, 300.0, 140.0), "proposed", 0.9)
        segments = (
            Segment(0, 20, 5, (region,), people, False, round(0.9 - 0.2 * number, 2)),
            Segment(20, 30, 25, (region,), (), False, 0.95),
        )
        root.write_layout(Layout(record.video_id, record.frame_size, segments))
    return root
