"""Quality and speed of tracking, side by side, on mashups composed of real clips.

    RMSET_TEST_DATA=… python -m benchmarks.track [--mashups 8] [--seconds 60] [--write]

Half of the mashups are calm, in the other half everybody moves in the panel by known transforms (`wander.py`). Truth is
the exact detector on the unscaled clip, mapped into the panel. Beside ours stand the *constant box* (the reference box
kept for ever), the exact detector on sampled full frames with optimal assignment, facenet-pytorch's own `detect` on the
same frames, and decoding alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.report import Line, publish
from benchmarks.wander import Wander, Wanderer
from rmset.geometry import as_boxes
from rmset.inspect import evaluate
from rmset.parts.detect import load
from rmset.parts.frames import VideoReader
from rmset.parts.shards import read_faces
from rmset.pipeline import run_stage
from rmset.records import Layout, Person, Segment, TriggerRegion
from rmset.stages import fetch
from rmset.stages.track import TrackConfig
from rmset.store import Root
from rmset.synth.acts import Act, compose_acts
from rmset.synth.clips import ClipSource, find_clips
from rmset.synth.layouts import make_layout
from rmset.truth import Truth

FPS = 30.0
# Frames of a mashup on which the exact detector, at half a second each, is run.
SAMPLED = 24


def compose(folder: Path, data: Path, number: int, seconds: float) -> tuple[Path, Truth]:
    """Mashup `number`: calm if even, moving if odd; every other pair of them has small panels along a side."""
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
    """The layout that a careful person would draw."""
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
    """Seconds that decoding alone takes: PyAV, AUTO threads, nothing converted."""
    began = time.perf_counter()
    with VideoReader(path) as reader:
        for _ in reader.frames():
            pass
    return time.perf_counter() - began


def exact(path: Path, layout: Layout, frames: list[int]) -> tuple[evaluate.Boxed, float, float]:
    """The exact detector on whole sampled frames, optimally assigned; seconds a frame for it and facenet-pytorch."""
    from facenet_pytorch import MTCNN

    from rmset.parts.assign import tracker
    from rmset.parts.search import Searcher

    (segment,) = layout.segments
    removed = [r.box for r in segment.trigger_regions]
    named = tracker("reference", segment.people, 0.01)
    searcher = Searcher(load("mtcnn"), named, segment.people, layout.frame_size, removed, 0.5, whole_frame=True)
    theirs = MTCNN(keep_all=True, min_face_size=40)
    rows, ours_s, theirs_s = [], [], []
    with VideoReader(path) as reader:
        for frame in reader.sample(frames):
            image = frame.rgb
            began = time.perf_counter()
            found = searcher.step(frame)
            ours_s.append(time.perf_counter() - began)
            rows += [(frame.frame_idx, int(p), b) for p, b in zip(found.people, found.faces.boxes, strict=True)]
            if len(theirs_s) < 8:
                began = time.perf_counter()
                theirs.detect(image)
                theirs_s.append(time.perf_counter() - began)
    return _boxed(rows), statistics.median(ours_s), statistics.median(theirs_s)


def _boxed(rows: list) -> evaluate.Boxed:
    rows = sorted(rows, key=lambda r: (r[0], r[1]))
    return evaluate.Boxed(
        np.array([r[0] for r in rows], np.int64), np.array([r[1] for r in rows], np.int64),
        as_boxes([tuple(map(float, r[2])) for r in rows]),
    )  # fmt: skip


def _true(truth: Truth, only: set[int] | None = None) -> tuple[evaluate.Boxed, evaluate.Boxed]:
    faces = [f for f in truth.faces if only is None or f.frame in only]
    whole = [(f.frame, f.person, f.box) for f in faces if f.visible >= 0.9]
    return _boxed(whole), _boxed([(f.frame, f.person, f.box) for f in faces if f.visible < 0.9])


def measure(path: Path, truth: Truth, home: Path) -> dict[str, float]:
    """Everything about one mashup."""
    root = Root(home / path.stem)
    record = fetch.add(root, path)
    layout = drawn_by_hand(record.video_id, truth)
    root.write_layout(layout)
    decode_s = [decode(path)]
    outcome = run_stage(root, record.video_id, "track", TrackConfig(), force=True)
    if outcome.error:
        raise SystemExit(outcome.error)
    decode_s.append(decode(path))
    strided = run_stage(Root(_copy(root)), record.video_id, "track", TrackConfig(stride=6), force=True)
    table = read_faces(root.files.local(root.tracks_key(record.video_id)))
    boxes = np.stack([table[n].to_numpy() for n in ("x0", "y0", "x1", "y1")], axis=1)
    frame, person = table["frame_idx"].to_numpy(), table["person_id"].to_numpy()
    found = _boxed(list(zip(frame.tolist(), person.tolist(), boxes.tolist(), strict=True)))
    sampled = sorted({int(v) for v in np.linspace(0, record.frame_count - 1, SAMPLED)})
    theirs, exact_s, facenet_s = exact(path, layout, sampled)
    at = set(sampled)
    ours_there = _boxed([r for r in zip(frame.tolist(), person.tolist(), boxes.tolist(), strict=True) if r[0] in at])
    every, cut = _true(truth)
    some, some_cut = _true(truth, at)
    constant = _boxed([(f, p.person_id, p.box) for f in range(record.frame_count) for p in layout.segments[0].people])
    ours, here, there = (
        evaluate.tracks(every, found, cut),
        evaluate.tracks(some, ours_there, some_cut),
        evaluate.tracks(some, theirs, some_cut),
    )
    kept = evaluate.tracks(every, constant, cut)
    decoding = min(decode_s)
    return {
        "recall": ours.recall, "idf1": ours.idf1, "hota": ours.hota, "switches": ours.id_switches,
        "in film": evaluate.mask(truth, layout, found).boxes_in_trigger,
        "recall sampled": here.recall, "recall exact": there.recall,
        "hota sampled": here.hota, "hota exact": there.hota,
        "constant recall": kept.recall, "constant hota": kept.hota,
        "decode fps": record.frame_count / decoding, "track fps": record.frame_count / outcome.seconds,
        "of decode": decoding / outcome.seconds, "of decode, stride 6": decoding / strided.seconds,
        "times facenet": facenet_s / (outcome.seconds / record.frame_count),
        "exact s/frame": exact_s, "facenet s/frame": facenet_s,
    }  # fmt: skip


def _copy(root: Root) -> Path:
    target = root.path.with_name(root.path.name + "-stride")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(root.path, target)
    return target


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mashups", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "rmset-track-mashups")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    data = os.environ.get("RMSET_TEST_DATA")
    if not data:
        sys.exit("expected $RMSET_TEST_DATA, the folder with the clips")
    options.cache.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as home:
        for number in range(options.mashups):
            path, truth = compose(options.cache, Path(data), number, options.seconds)
            rows.append(measure(path, truth, Path(home)))
            sys.stderr.write(f"{number}: " + ", ".join(f"{k} {v:.3f}" for k, v in rows[-1].items()) + "\n")
    publish("track", "Tracking", _lines(rows), _notes(rows, options.seconds), write=options.write)


def _lines(rows: list[dict[str, float]]) -> list[Line]:
    def mean(name: str, of: list[dict[str, float]] = rows) -> float:
        return float(np.mean([r[name] for r in of]))

    calm, moving = rows[::2], rows[1::2]
    total = {n: int(sum(r[n] for r in rows)) for n in ("switches", "in film")}
    lost = mean("recall exact") - mean("recall sampled")
    behind = mean("hota exact") - mean("hota sampled")
    lines = [
        Line("recall of true boxes", f"{mean('recall'):.4f}", ">= 0.99", mean("recall") >= 0.99),
        Line("recall below the exact detector's, sampled frames", f"{lost:+.4f}", "<= 0.005", lost <= 0.005),
        Line("IDF1", f"{mean('idf1'):.4f}", ">= 0.98", mean("idf1") >= 0.98),
        Line("HOTA", f"{mean('hota'):.4f}"),
        Line("HOTA below the exact detector's, sampled frames", f"{behind:+.4f}", "<= 0.02", behind <= 0.02),
        Line("id switches", str(total["switches"]), "0", total["switches"] == 0),
        Line("boxes inside trigger regions", str(total["in film"]), "0", total["in film"] == 0),
    ]
    for name, some in (("calm", calm), ("moving", moving)):
        if some:
            lines.append(
                Line(
                    f"{name}: recall / HOTA, ours against the constant box",
                    f"{mean('recall', some):.3f} / {mean('hota', some):.3f} against "
                    f"{mean('constant recall', some):.3f} / {mean('constant hota', some):.3f}",
                )
            )
    speed, strided, times = (mean(n) for n in ("of decode", "of decode, stride 6", "times facenet"))
    return [
        *lines,
        Line("frames/s, decoding alone", f"{mean('decode fps'):.0f}"),
        Line("frames/s, tracking", f"{mean('track fps'):.0f}"),
        Line("tracking / decoding alone", f"{speed:.2f}", ">= 0.5", speed >= 0.5),
        Line("tracking with --stride 6 / decoding alone", f"{strided:.2f}", ">= 0.8", strided >= 0.8),
        Line("tracking / facenet-pytorch on each full frame", f"{times:.0f} x", ">= 20 x", times >= 20),
        Line("exact detector of ours, seconds a full frame", f"{mean('exact s/frame'):.3f}"),
        Line("facenet-pytorch, seconds a full frame", f"{mean('facenet s/frame'):.3f}"),
    ]


def _notes(rows: list[dict[str, float]], seconds: float) -> list[str]:
    return [
        f"{len(rows)} mashups of {seconds:g} s at 1920x1080, x264 veryfast crf 20, half of them moving.",
        "Tracking is a whole stage: nets loaded, video decoded, faces followed, Parquet written.",
    ]


if __name__ == "__main__":
    main()
