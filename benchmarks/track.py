"""Quality and speed of tracking, compared with other ways, on mashups composed of real clips.

    RMSET_TEST_DATA=… python -m benchmarks.track [--mashups 8] [--seconds 60] [--write]

Half of the mashups are calm; in the other half all people move in their panels by known transforms (`wander.py`). The
truth is the exact detector on the unscaled clip, mapped into the panel. Our tracker is compared with the *constant box*
(the reference box in every frame), the exact detector on sampled full frames with optimal assignment, facenet-pytorch's
own `detect` on the same frames, and decoding alone.
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
from benchmarks.track_mashups import compose, decode, drawn_by_hand
from rmset.geometry import as_boxes
from rmset.inspect import evaluate
from rmset.inspect.scores import Boxed, tracks
from rmset.layout_record import Layout
from rmset.parts.detect import load
from rmset.parts.frames import VideoReader
from rmset.parts.shards import read_faces
from rmset.pipeline import run_stage
from rmset.root import Root
from rmset.stages import fetch
from rmset.stages.track import TrackConfig
from rmset.truth import Truth

# Frames of a mashup on which the exact detector, at half a second each, is run.
SAMPLED = 16


def exact(path: Path, layout: Layout, frames: list[int]) -> tuple[Boxed, float, float]:
    """Run the exact detector on sampled whole frames with optimal assignment; time it and facenet-pytorch per frame."""
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


def _boxed(rows: list) -> Boxed:
    rows = sorted(rows, key=lambda r: (r[0], r[1]))
    return Boxed(
        np.array([r[0] for r in rows], np.int64), np.array([r[1] for r in rows], np.int64),
        as_boxes([tuple(map(float, r[2])) for r in rows]),
    )  # fmt: skip


def _true(truth: Truth, only: set[int] | None = None) -> tuple[Boxed, Boxed]:
    faces = [f for f in truth.faces if only is None or f.frame in only]
    whole = [(f.frame, f.person, f.box) for f in faces if f.visible >= 0.9]
    return _boxed(whole), _boxed([(f.frame, f.person, f.box) for f in faces if f.visible < 0.9])


def measure(path: Path, truth: Truth, home: Path) -> dict[str, float]:
    """Measure one mashup in every mode."""
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
        tracks(every, found, cut),
        tracks(some, ours_there, some_cut),
        tracks(some, theirs, some_cut),
    )
    kept = tracks(every, constant, cut)
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


# Options of `rmset track`, by their name in the table.
MODES: dict[str, dict[str, str]] = {
    "follow, previous (default)": {},
    "follow, previous, f32": {"precision": "f32"},
    "follow, reference": {"assign": "reference"},
    "panel, previous": {"search": "panel"},
    "panel, bytetrack": {"search": "panel", "assign": "bytetrack"},
    "frame, reference (the paper)": {"search": "frame", "assign": "reference"},
    "panel, previous, yunet": {"search": "panel", "detector": "yunet"},
}


def in_every_mode(cache: Path, data: Path, home: Path) -> list[dict[str, str]]:
    """Rows of a table: mode, then recall, HOTA, IDF1 and switches of a calm and a moving mashup, and frames/s."""
    (weights,) = (data / "weights").glob("*yunet*.onnx")
    rows: list[dict[str, str]] = []
    for name, settings in MODES.items():
        row, speeds = {"mode": name}, []
        for number, kind in ((0, "calm"), (1, "moving")):
            path, truth = compose(cache, data, number, 5)
            root = Root(home / f"modes-{number}")
            record = fetch.add(root, path)
            root.write_layout(drawn_by_hand(record.video_id, truth))
            file = str(weights) if settings.get("detector") == "yunet" else None
            config = TrackConfig(**settings, weights=file)  # type: ignore[arg-type]
            outcome = run_stage(root, record.video_id, "track", config, force=True)
            if outcome.error:
                raise SystemExit(outcome.error)
            scores = evaluate.video(root, record.video_id, truth).row
            row[kind] = "{recall:.3f} / {hota:.3f} / {idf1:.3f} / {id_switches}".format(**scores)
            speeds.append(record.frame_count / outcome.seconds)
        rows.append(row | {"frames/s": f"{np.mean(speeds):.1f}"})
        sys.stderr.write(f"{rows[-1]}\n")
    return rows


def _copy(root: Root) -> Path:
    target = root.path.with_name(root.path.name + "-stride")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(root.path, target)
    return target


def main() -> None:
    """Measure, print, and write if requested."""
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
        modes = in_every_mode(options.cache, Path(data), Path(home))
    publish("track", "Tracking", _lines(rows), _notes(rows, options.seconds), write=options.write, after=_table(modes))


def _table(rows: list[dict[str, str]]) -> list[str]:
    names = list(rows[0])
    head = [
        "Five seconds; recall / HOTA / IDF1 / id switches of a calm and a moving mashup, and frames/s with start-up:"
    ]
    return [
        *head, "", "| " + " | ".join(names) + " |", "|" + "---|" * len(names),
        *("| " + " | ".join(row[n] for n in names) + " |" for row in rows),
    ]  # fmt: skip


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
