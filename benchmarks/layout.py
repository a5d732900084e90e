"""Quality of proposed layouts, on mashups with ground truth: `python -m benchmarks.layout [--held-out] [NAME ...]`.

With `--write` the table goes to `benchmarks/results/layout.{md,json}`. The ten held-out mashups are run only with
`--write` or `--held-out`, because each run makes them less unseen.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.mashups import MASHUPS, Mashup, cache_folder, clips_folder, compose
from rmset.geometry import as_boxes
from rmset.inspect.evaluate import mask
from rmset.inspect.scores import Boxed
from rmset.layout_record import Layout
from rmset.parts.frames import VideoReader
from rmset.root import Root
from rmset.stages import fetch
from rmset.stages.layout import ProposeConfig, propose
from rmset.truth import Truth

RESULTS = Path(__file__).parent / "results"
SURE, RIGHT, NEAR = 0.8, 0.85, 5


@dataclass(frozen=True)
class Row:
    """One mashup's scores."""

    name: str
    split: str
    trigger_iou: float
    confidence: float
    panels_masked: int
    boundary_error: int
    """frames by which the worst boundary is off; a missing or extra one counts 999"""
    people: int
    """person panels of the truth, over all segments"""
    people_found: int
    people_extra: int
    """people named where no person panel is, or twice in one"""
    people_in_trigger: int
    propose_s: float
    decode_s: float


def measure(mashup: Mashup, video: Path) -> Row:
    """Propose a layout for one mashup and compare it with the truth."""
    truth = Truth.read(video.with_name(f"{mashup.name}.truth.json"))
    began = time.perf_counter()
    with VideoReader(video) as reader:
        for _ in reader.frames():
            pass
    decoded = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        root = Root(Path(folder))
        video_id = fetch.add(root, video).video_id
        began = time.perf_counter()
        propose(root, video_id, ProposeConfig())
        took = time.perf_counter() - began
        layout = root.layout(video_id)
    no_faces = Boxed(np.empty(0, np.int64), np.empty(0, np.int64), as_boxes([]))
    scores = mask(truth, layout, no_faces)
    people, found, extra, inside = _people(truth, layout)
    return Row(
        mashup.name,
        mashup.split,
        round(scores.trigger_iou, 4),
        min(s.confidence for s in layout.segments),
        scores.panels_masked,
        _boundaries(truth, layout),
        people,
        found,
        extra,
        inside,
        round(took, 2),
        round(decoded, 2),
    )


def _boundaries(truth: Truth, layout: Layout) -> int:
    true, ours = [s.start_frame for s in truth.segments], [s.start_frame for s in layout.segments]
    if len(true) != len(ours):
        return 999
    return max((abs(a - b) for a, b in zip(true, ours, strict=True)), default=0)


def _people(truth: Truth, layout: Layout) -> tuple[int, int, int, int]:
    """(person panels, found ones, extra people, people in a true trigger region), over true segments."""
    panels = found = extra = inside = 0
    for true in truth.segments:
        middle = (true.start_frame + true.end_frame) // 2
        ours = next((s for s in layout.segments if s.start_frame <= middle < s.end_frame), None)
        centers = [((p.box[0] + p.box[2]) / 2, (p.box[1] + p.box[3]) / 2) for p in ours.people] if ours else []
        in_film = [any(_holds(r, c) for r in true.trigger_regions) for c in centers]
        seen = [c for c, f in zip(centers, in_film, strict=True) if not f]
        named = {person for person, panel in true.panels.items() if any(_holds(panel, c) for c in seen)}
        panels, found, inside = panels + len(true.panels), found + len(named), inside + sum(in_film)
        extra += len(centers) - sum(in_film) - len(named)
    return panels, found, extra, inside


def _holds(box: tuple[float, float, float, float], point: tuple[float, float]) -> bool:
    return box[0] <= point[0] < box[2] and box[1] <= point[1] < box[3]


def summary(rows: list[Row]) -> dict[str, float | int | str]:
    """Scores of one split that have a required value."""
    sure = [r for r in rows if r.confidence >= SURE]
    people = sum(r.people for r in rows)
    return {
        "videos": len(rows),
        "trigger mean IoU (>= 0.92)": round(float(np.mean([r.trigger_iou for r in rows])), 4),
        "videos with a person's panel masked (0)": sum(r.panels_masked > 0 for r in rows),
        "share with confidence >= 0.8 (>= 0.70)": round(len(sure) / len(rows), 3),
        "of these right, IoU >= 0.85 (>= 0.95)": _share([r.trigger_iou >= RIGHT for r in sure]),
        "videos with all boundaries within 5 frames": sum(r.boundary_error <= NEAR for r in rows),
        "people recall (>= 0.98)": round(sum(r.people_found for r in rows) / people, 4),
        "people too many": sum(r.people_extra for r in rows),
        "people inside a trigger region (0)": sum(r.people_in_trigger for r in rows),
        "proposing / decoding, seconds": f"{sum(r.propose_s for r in rows):.0f} / {sum(r.decode_s for r in rows):.0f}",
    }


def _share(flags: list[bool]) -> float:
    return round(sum(flags) / max(1, len(flags)), 3)


def _table(rows: list[dict]) -> str:
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return "\n".join(lines + ["| " + " | ".join(str(r[n]) for n in names) + " |" for r in rows])


def main() -> None:
    """Run, print, and write if requested."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--held-out", action="store_true", help="also the held-out ten")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    rows = []
    for mashup in MASHUPS:
        if options.names and mashup.name not in options.names:
            continue
        if mashup.split == "held-out" and not (options.held_out or options.write):
            continue
        rows.append(measure(mashup, compose(mashup, clips_folder(), cache_folder())))
        print(" ".join(f"{k}={v}" for k, v in asdict(rows[-1]).items()), flush=True)
    splits = {name: [r for r in rows if r.split == name] for name in ("tuning", "held-out", "twice", "kinds")}
    bars = {name: summary(part) for name, part in splits.items() if part}
    report = _table([{"bar": k, **{s: bars[s][k] for s in bars}} for k in next(iter(bars.values()))])
    print(report)
    if options.write:
        RESULTS.mkdir(parents=True, exist_ok=True)
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
        head = f"# Proposed layouts\n\n{platform.machine()}, {commit}, `python -m benchmarks.layout --write`.\n\n"
        text = head + report + "\n\n" + _table([asdict(r) for r in rows]) + "\n"
        (RESULTS / "layout.md").write_text(text, encoding="utf-8")
        (RESULTS / "layout.json").write_text(
            json.dumps({"bars": bars, "videos": [asdict(r) for r in rows]}, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
