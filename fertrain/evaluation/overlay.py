"""The video with every face's box, person and most probable class."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from rmset.inspect.preview import color, label, rectangle
from rmset.outputs import written
from rmset.parts.frames import Image, VideoReader, ahead
from rmset.parts.media import create_media
from rmset.parts.probe import probe
from rmset.progress import Progress, silent

from .predict import Prediction


def write_overlay(
    file: Path, predictions: Sequence[Prediction], labels: Sequence[str], output: Path, *, stride: int = 1,
    progress: Progress = silent,
) -> int:  # fmt: skip
    """Write the video with predictions drawn on it (H.264, without sound); returns the number of frames.

    Args:
        file: the source video.
        predictions: its faces, by frame.
        labels: the classes.
        output: the MP4 to write.
        stride: a frame that was not predicted shows the last predicted one's faces.
        progress: progress callback on frames.
    """
    import av

    by_frame: dict[int, list[Prediction]] = {}
    for p in predictions:
        by_frame.setdefault(p.frame.frame, []).append(p)
    seen, count = probe(file), 0
    smoothed = max((p.smoothed_s for p in predictions), default=0.0)
    even = (seen.width - seen.width % 2, seen.height - seen.height % 2)
    with written(output) as partial, VideoReader(file, index=seen.index) as reader, create_media(partial, "mp4") as out:
        stream = out.add_stream("libx264", rate=Fraction(seen.fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = even[0], even[1], "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "23"}
        for frame in ahead(reader.frames()):
            faces = by_frame.get(frame.frame_idx - frame.frame_idx % stride, [])
            image = np.ascontiguousarray(_drawn(frame.rgb, faces, labels, smoothed)[: even[1], : even[0]])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            count += 1
            if count % 15 == 0:
                progress("overlay", count, seen.frame_count)
        out.mux(stream.encode())
    return count


def _drawn(image: Image, faces: Sequence[Prediction], labels: Sequence[str], smoothed: float) -> Image:
    drawn = image.copy()
    for p in faces:
        shade = color(p.face if p.person is None else p.person)
        top = int(np.argmax(p.probabilities))
        who = "" if p.person is None else f"{p.person} "
        rectangle(drawn, p.box, shade, 2)
        text = f"{who}{labels[top]} {p.probabilities[top]:.0%}"
        label(drawn, text, (int(p.box[0]), int(p.box[1]) - 24), shade)
    if smoothed:
        label(drawn, f"probabilities averaged over {smoothed:g} s", (8, 8), (220, 220, 220))
    return drawn
