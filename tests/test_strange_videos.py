"""Unusual videos: deep color, gray, interlaced, odd size, rotated, uneven times, truncated, broken, changing size."""

from __future__ import annotations

import re
import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from skimage import data

from rmset.errors import VideoError
from rmset.geometry import as_boxes, iou
from rmset.layout_record import Layout, Person, Segment
from rmset.parts.detect import load
from rmset.parts.frames import VideoReader
from rmset.parts.probe import probe
from rmset.parts.shards import read_faces
from rmset.pipeline import run_stage
from rmset.root import Root
from rmset.stages import fetch
from rmset.stages.track import TrackConfig

FRAMES = 40
PQ = {"x264-params": "colorprim=bt2020:transfer=smpte2084"}


def face(width=320, height=240):
    """A public-domain photograph, uint8 (height, width, 3), and its face by the exact detector."""
    photograph = data.astronaut()[:384]
    side = min(512, 384 * width // height)
    picture = cv2.resize(
        photograph[:, 216 - side // 2 : 216 + side // 2] if side < 400 else photograph, (width, height)
    )
    return picture, load("mtcnn").detect(picture, 40).boxes[0].astype(float)


def write(path, pictures, *, codec="libx264", pix_fmt="yuv420p", times=None, options=None, rate=30):
    """Encode pictures uint8 (H, W, 3); `times` are milliseconds of each."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate, options={"preset": "ultrafast", "g": "10", **(options or {})})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000) if times else Fraction(1, rate)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts = times[number] if times else number
            frame.time_base = stream.codec_context.time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def track(path: Path, box, home: Path, **config):
    """Track the one person of a video; return the outcome and the rows."""
    root = Root(home / "root")
    record = fetch.add(root, path)
    width, height = record.frame_size
    inside = tuple(float(np.clip(v, 0, hi)) for v, hi in zip(box, (width, height) * 2, strict=True))
    people = (Person(0, inside, (0.0, 0.0, float(width), float(height))),)
    root.write_layout(Layout(record.video_id, (width, height), (Segment(0, record.frame_count, 0, (), people),)))
    outcome = run_stage(root, record.video_id, "track", TrackConfig(**config))
    key = root.tracks_key(record.video_id)
    return outcome, read_faces(root.files.local(key)) if root.files.exists(key) else None


def seen_well(rows, box, frames=FRAMES):
    corners = np.stack([rows[n].to_numpy() for n in ("x0", "y0", "x1", "y1")], axis=1)
    overlap = iou(as_boxes([tuple(box)]), as_boxes(corners))[0]
    assert rows["frame_idx"].to_pylist() == list(range(frames))
    assert overlap.mean() > 0.7, overlap


@pytest.mark.parametrize(
    ("size", "suffix", "how"),
    [
        ((320, 240), "mp4", {"pix_fmt": "yuv420p10le"}),
        ((320, 240), "mp4", {"pix_fmt": "yuv420p10le", "options": PQ}),
        ((320, 240), "mp4", {"pix_fmt": "yuv422p"}),
        ((320, 240), "mp4", {"pix_fmt": "yuv444p"}),
        ((321, 241), "mp4", {"pix_fmt": "yuv444p"}),
        ((321, 241), "mkv", {"codec": "ffv1", "pix_fmt": "yuv420p"}),
        ((320, 240), "mkv", {"codec": "ffv1", "pix_fmt": "gray"}),
        ((320, 240), "mp4", {"pix_fmt": "gray"}),
        ((320, 240), "mp4", {"options": {"x264-params": "interlaced=1:tff=1"}}),
    ],
    ids=["10-bit", "hdr", "4:2:2", "4:4:4", "odd-444", "odd-420", "gray-ffv1", "grey", "interlaced"],
)  # fmt: skip
def test_a_face_is_followed_whatever_the_pixels_are_stored_as(tmp_path, size, suffix, how):
    picture, box = face(*size)
    path = write(tmp_path / f"clip.{suffix}", [picture] * FRAMES, **how)
    outcome, rows = track(path, box, tmp_path)
    assert outcome.status == "done", outcome.error
    assert "fault" not in outcome.counts
    seen_well(rows, box)


def test_times_come_from_timestamps_where_the_rate_varies(tmp_path):
    times = np.cumsum(np.random.default_rng(0).integers(10, 90, FRAMES)).tolist()
    times = [t - times[0] for t in times]
    picture, box = face()
    outcome, rows = track(write(tmp_path / "clip.mkv", [picture] * FRAMES, times=times), box, tmp_path)
    assert outcome.status == "done", outcome.error
    np.testing.assert_allclose(rows["time_ms"].to_numpy(), times, atol=1)


# 16.16 fixed point, as in the header of an MP4 track: a quarter turn clockwise, and a half turn.
_TURNS = {90: (0, 1, 0, -1, 0, 0, 0, 0, 1), 180: (-1, 0, 0, 0, -1, 0, 0, 0, 1), 270: (0, -1, 0, 1, 0, 0, 0, 0, 1)}


def turned(path, degrees):
    """Write a rotation into the header of an MP4 file; the pixels stay as they are."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    matrix = [v * (1 << (30 if i % 3 == 2 else 16)) for i, v in enumerate(_TURNS[degrees])]
    content[at : at + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(bytes(content))
    return path


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_video_that_is_to_be_shown_turned_is_tracked_as_shown(tmp_path, degrees):
    picture, box = face(240, 320)
    stored = np.rot90(picture, degrees // 90)
    path = turned(write(tmp_path / "clip.mp4", [stored] * FRAMES), degrees)
    outcome, rows = track(path, box, tmp_path)
    assert outcome.status == "done", outcome.error
    seen_well(rows, box)


def test_faces_up_to_the_end_of_a_file_cut_short_are_kept_and_the_fault_recorded(tmp_path):
    rng = np.random.default_rng(0)
    picture, box = face()
    noisy = [np.clip(picture + rng.integers(-9, 10, picture.shape), 0, 255).astype(np.uint8) for _ in range(FRAMES)]
    path = write(tmp_path / "whole.mp4", noisy, options={"movflags": "faststart"})
    with (
        av.open(str(path)) as whole,
        av.open(str(tmp_path / "front.mp4"), "w", options={"movflags": "faststart"}) as front,
    ):
        stream = front.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(whole.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                front.mux(packet)
    content = (tmp_path / "front.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) * 6 // 10])
    outcome, rows = track(tmp_path / "cut.mp4", box, tmp_path)
    assert outcome.status == "done", outcome.error
    assert 10 <= rows.num_rows < FRAMES
    assert outcome.counts["fault"]


def test_a_stream_that_changes_its_size_is_tracked_to_its_end_and_the_change_recorded(tmp_path):
    picture, box = face()
    other, _ = face(640, 480)
    parts = [write(tmp_path / f"{i}.ts", [p] * FRAMES) for i, p in enumerate((picture, other))]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(p.read_bytes() for p in parts))
    outcome, rows = track(joined, box, tmp_path)
    assert outcome.status == "done", outcome.error
    assert "fault" not in outcome.counts
    (note,) = [n for kind, n in probe(joined).notes.items() if kind == "sizes"]
    assert f"frame {FRAMES}, there from 320x240 to 640x480" in note
    seen_well(rows, box, 2 * FRAMES)


def test_broken_bytes_in_the_middle_lose_nothing_before_them(tmp_path):
    rng = np.random.default_rng(0)
    picture, box = face()
    noisy = [np.clip(picture + rng.integers(-9, 10, picture.shape), 0, 255).astype(np.uint8) for _ in range(FRAMES)]
    path = write(tmp_path / "clip.mp4", noisy)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20_000] = rng.integers(0, 256, 20_000, dtype=np.uint8).tobytes()
    path.write_bytes(bytes(content))
    outcome, rows = track(path, box, tmp_path)
    assert outcome.status == "done", outcome.error
    assert rows.num_rows >= FRAMES // 3
    assert outcome.counts["fault"]


def test_a_bare_stream_without_times_is_refused_with_the_remedy(tmp_path):
    picture, box = face()
    with pytest.raises(VideoError, match=r"ffmpeg -i .* -c copy"):
        track(write(tmp_path / "clip.h264", [picture] * 3), box, tmp_path)


def test_a_stride_gives_the_frames_that_reading_all_would_give(mashup):
    """Frames that are neither requested nor needed to predict requested ones are not decoded."""
    with VideoReader(mashup[0]) as reader:
        every = {f.frame_idx: (f.time_ms, f.rgb.copy()) for f in reader.frames()}
    for stride, start in ((2, 0), (5, 0), (6, 3)):
        with VideoReader(mashup[0]) as reader:
            some = {f.frame_idx: (f.time_ms, f.rgb.copy()) for f in reader.frames(start=start, stride=stride)}
        assert list(some) == list(range(start, len(every), stride))
        for idx, (time_ms, image) in some.items():
            assert time_ms == every[idx][0]
            np.testing.assert_array_equal(image, every[idx][1])


def test_a_matroska_file_that_lost_its_end_is_known_though_it_counts_no_frames(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (180, 120, 160, 3)).astype(np.uint8)
    path = write(tmp_path / "whole.mkv", list(noise))
    assert probe(path).fault is None
    content = path.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    assert re.fullmatch(r"cut short: [23]\.\d of 6\.0 s are in the file", probe(tmp_path / "cut.mkv").fault)
