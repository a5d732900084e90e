"""Preview: the video with boxes, ids, panels, and the removed pixels darkened."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from rmset.errors import RootError
from rmset.geometry import Box, pixels
from rmset.layout_record import Layout, Segment
from rmset.outputs import written
from rmset.parts.frames import Image
from rmset.parts.media import create_media
from rmset.parts.shards import read_faces
from rmset.progress import Progress, silent
from rmset.read.video import reader_of
from rmset.root import Root

# Colors that are distinguishable on skin and film (RGB).
PALETTE: tuple[tuple[int, int, int], ...] = (
    (86, 180, 233), (230, 159, 0), (0, 200, 140), (240, 228, 66),
    (204, 121, 167), (255, 120, 80), (150, 130, 255), (160, 220, 100),
)  # fmt: skip
_GRAY = (150, 150, 150)


def color(person_id: int) -> tuple[int, int, int]:
    """Return the person's color, the same in every picture."""
    return PALETTE[person_id % len(PALETTE)]


def draw_layout(image: Image, segment: Segment, *, people: bool = True) -> Image:
    """Return the frame with removed pixels darkened and hatched, panels outlined, and reference boxes of people."""
    drawn = image.copy()
    size = (image.shape[1], image.shape[0])
    for region in segment.masked:
        x0, y0, x1, y1 = pixels(region, size)
        inside = drawn[y0:y1, x0:x1]
        inside[:] = inside // 4
        rows, columns = np.mgrid[y0:y1, x0:x1]
        inside[(rows + columns) % 24 < 2] = (90, 90, 90)
        label(drawn, "removed", (x0 + 8, y0 + 8), _GRAY)
    for person in segment.people:
        if person.panel:
            rectangle(drawn, person.panel, _GRAY, 1)
        if people:
            rectangle(drawn, person.box, color(person.person_id), 2)
            label(drawn, f"{person.person_id}", (int(person.box[0]), int(person.box[1]) - 24), color(person.person_id))
    return drawn


def rectangle(image: Image, box: Box, shade: tuple[int, int, int], width: int) -> None:
    """Outline a box, in place."""
    x0, y0, x1, y1 = (round(v) for v in box)
    cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), shade, width, cv2.LINE_AA)


def label(image: Image, text: str, at: tuple[int, int], shade: tuple[int, int, int]) -> None:
    """Draw text on a filled background, in place; `at` is its upper left corner."""
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.55, 1)
    x, y = max(0, at[0]), max(0, at[1])
    cv2.rectangle(image, (x, y), (x + width + 8, y + height + 10), shade, -1)
    cv2.putText(image, text, (x + 4, y + height + 4), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (20, 20, 20), 1, cv2.LINE_AA)


def layout_picture(root: Root, video_id: str, segment: int, output: Path) -> None:
    """Draw one segment's layout on its reference frame, as PNG.

    Raises:
        RootError: the video has no layout, or no such segment.
    """
    layout = root.layout(video_id)
    if not 0 <= segment < len(layout.segments):
        raise RootError(f"video {video_id}: expected a segment 0 to {len(layout.segments) - 1}, found {segment}")
    chosen = layout.segments[segment]
    with reader_of(root, video_id) as reader:
        frame = next(reader.sample([chosen.reference_frame]), None)
    if frame is None:
        raise RootError(f"video {video_id}: its reference frame {chosen.reference_frame} cannot be decoded")
    write_png(output, draw_layout(frame.rgb, chosen))


def write_png(path: Path, image: Image) -> None:
    """Write an RGB picture.

    Raises:
        RootError: the place cannot be written to.
    """
    data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
    with written(path) as partial:
        partial.write_bytes(data.tobytes())


def write(root: Root, video_id: str, output: Path, *, seconds: float | None = None, progress: Progress = silent) -> int:
    """Write the preview video (H.264, without sound).

    Args:
        root: data set of the video.
        video_id: id of the video.
        output: the MP4 to write.
        seconds: length of the preview; None: the whole video.
        progress: progress callback on frames.

    Returns:
        Number of frames written.
    """
    import av

    layout, record = root.layout(video_id), root.record(video_id)
    faces = _faces_by_frame(root, video_id)
    stop = None if seconds is None else max(1, round(seconds * record.fps))
    total = record.frame_count if stop is None else min(stop, record.frame_count)
    even = (record.width - record.width % 2, record.height - record.height % 2)
    count = 0
    with (
        written(output) as partial,
        reader_of(root, video_id) as reader,
        create_media(partial, "mp4") as container,
    ):
        stream = container.add_stream("libx264", rate=Fraction(record.fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = even[0], even[1], "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "23"}
        for frame in reader.frames(stop=stop):
            image = _drawn(frame.rgb, frame.frame_idx, layout, faces.get(frame.frame_idx, []))
            image = np.ascontiguousarray(image[: even[1], : even[0]])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            count += 1
            if count % 15 == 0:
                progress(f"preview {video_id}", count, total)
        container.mux(stream.encode())
    return count


def _drawn(image: Image, frame_idx: int, layout: Layout, faces: list[tuple[int, Box, float, str]]) -> Image:
    segment = next((s for s in layout.segments if s.start_frame <= frame_idx < s.end_frame), None)
    drawn = draw_layout(image, segment, people=False) if segment else image.copy()
    for person_id, box, score, source in faces:
        # An interpolated box is drawn thin.
        rectangle(drawn, box, color(person_id), 1 if source == "interpolated" else 2)
        label(drawn, f"{person_id}  {score:.2f}", (int(box[0]), int(box[1]) - 24), color(person_id))
    label(drawn, f"frame {frame_idx}", (8, 8), (220, 220, 220))
    return drawn


def _faces_by_frame(root: Root, video_id: str) -> dict[int, list[tuple[int, Box, float, str]]]:
    key = root.tracks_key(video_id)
    if not root.files.exists(key):
        return {}
    names = ["frame_idx", "person_id", "x0", "y0", "x1", "y1", "score", "source"]
    faces: dict[int, list[tuple[int, Box, float, str]]] = {}
    table = read_faces(root.files.local(key), names)
    for frame, person, x0, y0, x1, y1, score, source in zip(*(table[n].to_pylist() for n in names), strict=True):
        faces.setdefault(frame, []).append((person, (x0, y0, x1, y1), score, source))
    return faces
