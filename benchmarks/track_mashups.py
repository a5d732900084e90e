"""Mashups for the tracking benchmark: composed of real clips, calm or moving, with exact truth."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.wander import Wander, Wanderer
from rmset.layout_record import Layout, Person, Segment, TriggerRegion
from rmset.parts.detect import load
from rmset.parts.frames import VideoReader
from rmset.synth.acts import Act, compose_acts
from rmset.synth.clips import ClipSource, find_clips
from rmset.synth.layouts import make_layout
from rmset.truth import Truth

FPS = 30.0


def compose(folder: Path, data: Path, number: int, seconds: float) -> tuple[Path, Truth]:
    """Compose mashup `number`: calm if even, moving if odd; every second pair has small panels along a side."""
    name = folder / f"track-{number}-{seconds:g}.mp4"
    truth = name.with_suffix("").with_suffix(".truth.json")
    if not (name.exists() and truth.exists()):
        film = ("film_with_face", "film_street_faces", "film_without_face")[number % 3]
        screen = make_layout("3x3" if number % 4 < 2 else "side", 7 if number % 4 < 2 else 5, (1920, 1080))
        clips, frames = find_clips(data / "clips"), round(seconds * FPS)
        detector, cache = load("mtcnn"), Path(tempfile.gettempdir()) / "rmset-clip-boxes"
        people = {}
        for person, (x0, y0, x1, y1) in screen.panels.items():
            clip = clips[(person + number) % len(clips)]
            source = ClipSource(
                clip, (x1 - x0, y1 - y0), frames, FPS, cover=False,
                detect=lambda image: detector.detect(image, 40).boxes, cache=cache,
            )  # fmt: skip
            people[person] = Wanderer(source, Wander(phase=person * 0.9 + number), FPS) if number % 2 else source
        x0, y0, x1, y1 = screen.trigger
        shown = ClipSource(data / "clips" / f"{film}.mp4", (x1 - x0, y1 - y0), frames, FPS)
        compose_acts(name, [Act(screen, frames)], people, shown, FPS)
    return name, Truth.read(truth)


def drawn_by_hand(video_id: str, truth: Truth) -> Layout:
    """Layout as a careful person would draw it."""
    (true,) = truth.segments
    first = {f.person: f for f in reversed(truth.faces)}
    people = []
    for person, panel in sorted(true.panels.items()):
        box = first[person].box
        inside = (max(box[0], panel[0]), max(box[1], panel[1]), min(box[2], panel[2]), min(box[3], panel[3]))
        people.append(Person(person, inside, panel, "manual"))
    regions = tuple(TriggerRegion(b, "manual") for b in true.trigger_regions)
    return Layout(video_id, truth.frame_size, (Segment(0, true.end_frame, 0, regions, tuple(people), True),))


def decode(path: Path) -> float:
    """Seconds of decoding alone: PyAV, AUTO threads, without conversion."""
    began = time.perf_counter()
    with VideoReader(path) as reader:
        for _ in reader.frames():
            pass
    return time.perf_counter() - began


def long_video(path: Path, minutes: int) -> Path:
    """Repeat a video `minutes` times by copying its packets."""
    import av

    longer = path.with_name(f"{path.stem}-x{minutes}.mp4")
    if longer.exists():
        return longer
    with av.open(str(longer), "w") as out, av.open(str(path)) as first:
        stream = out.add_stream_from_template(first.streams.video[0])
        for turn in range(minutes):
            with av.open(str(path)) as once:
                (video,) = once.streams.video
                length = video.duration or 0
                for packet in once.demux(video):
                    if packet.dts is not None and packet.pts is not None:
                        packet.pts, packet.dts = packet.pts + turn * length, packet.dts + turn * length
                        packet.stream = stream
                        out.mux(packet)
    return longer
