"""`fertrain reactions`: predictions into the root; tables, pictures and one page into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import cv2
import pyarrow as pa
import pyarrow.parquet as pq

from rmset.errors import UsageError
from rmset.progress import Progress, silent
from rmset.read.predictions import run_name
from rmset.root import Root

from ...evaluation import html
from ...files import whole, write_csv, write_figure, write_json, write_text
from . import pictures
from .predictions import predict_root
from .synchrony import ALL, Synchrony, synchrony, together
from .timeline import Timeline, moments, timeline, window_steps

EVERY = "all"
"""In synchrony.csv: all videos together."""
_MEANING = (
    "Mean correlation over the pairs of a video, of all class probabilities together and of each class. The null "
    "shifts each person's time line in a circle by a random amount, which keeps their own course and removes the "
    "common clock."
)
_FIGURES = 24
"""Most videos that get a figure."""


@dataclass(frozen=True)
class ReactionConfig:
    """Settings of the analysis."""

    shuffles: int = 1000
    """Shuffled time lines of the null model."""
    moments: int = 8
    """Moments of strongest agreement, over all videos."""
    window: float = 1.0
    """Seconds over which agreement is averaged for a moment."""
    seed: int = 0
    """Of the shuffles."""
    workers: int = 0
    """Processes that decode; 0: this one."""

    def __post_init__(self) -> None:
        if self.shuffles < 1 or self.moments < 0 or not 0 < self.window < 3600 or self.seed < 0 or self.workers < 0:
            raise UsageError(
                "expected `shuffles` 1 or more, `moments`, `seed` and `workers` 0 or more and `window` above 0, found "
                f"{self.shuffles}, {self.moments}, {self.seed}, {self.workers} and {self.window:g}"
            )


@dataclass(frozen=True)
class Reactions:
    """What was found."""

    synchrony: list[dict[str, Any]]
    """Per video, and for all: each measure with its null."""
    people: list[dict[str, Any]]
    moments: list[dict[str, Any]]
    files: list[Path]
    run: str
    """Name of the run in the root's table `predictions`."""


def reactions(
    run: Path, root: Root, out: Path, config: ReactionConfig | None = None, *, name: str | None = None,
    progress: Progress = silent,
) -> Reactions:  # fmt: skip
    """Predict a root's faces and describe them over time.

    Args:
        run: a run folder.
        root: the data set, exported.
        out: folder of tables, pictures and page; it shows people's faces.
        config: settings.
        name: name of the run in the root; default: the folder's.
        progress: progress callback.

    Raises:
        UsageError: there is no run, or a value is out of range.
        RootError: the root has no crops.
    """
    config = config or ReactionConfig()
    opened, crops, videos = predict_root(run, root, name, workers=config.workers, progress=progress)
    labels = opened.labels
    lines = [timeline(video, crops.stride) for video in videos]
    measured = []
    for done, line in enumerate(lines, start=1):
        measured.append(synchrony(line.people, labels, shuffles=config.shuffles, seed=config.seed + done - 1))
        progress("shuffle time lines", done, len(lines))
    every = together(measured)
    best = moments(lines, labels, config.moments, config.window)
    tables: dict[str, list[dict[str, Any]]] = {
        "synchrony": [{"video_id": EVERY, **s.row()} for s in every]
        + [{"video_id": line.video_id, **s.row()} for line, found in zip(lines, measured, strict=True) for s in found],
        "people": [row for line in lines for row in line.people_rows(labels)],
        "timeline": [row for line in lines for row in line.rows(labels)],
        "moments": [{"rank": k, **m.row()} for k, m in enumerate(best, start=1)],
    }
    files = [path for key, rows in tables.items() for path in _tables(out / key, rows)]
    by_id = {video.video_id: video for video in videos}
    shots = []
    for k, moment in enumerate(best, start=1):
        sheet = pictures.moment_picture(root, crops.store, by_id[moment.video_id], moment, labels)
        path = out / f"moment-{k}.png"
        with whole(path) as part:
            part.write_bytes(cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1].tobytes())
        shots.append(path)
        progress("draw moments", k, len(best))
    figures = []
    for line in lines[:_FIGURES]:
        mine = [m for m in best if m.video_id == line.video_id]
        path = out / f"{line.video_id}.png"
        write_figure(path, pictures.video_figure(line, labels, mine, window_steps(line, config.window)), dpi=110)
        figures.append(path)
    about = {
        "run": str(run), "name": run_name(name or opened.name), "root": root.place, "labels": list(labels),
        "stride": crops.stride, **asdict(config),
    }  # fmt: skip
    write_json(out / "reactions.json", {"about": about, "synchrony": tables["synchrony"], "moments": tables["moments"]})
    page = _page(every, tables, lines, shots, figures, about)
    write_text(out / "reactions.html", page)
    files += [*shots, *figures, out / "reactions.json", out / "reactions.html"]
    return Reactions(tables["synchrony"], tables["people"], tables["moments"], files, about["name"])


def _tables(stem: Path, rows: Sequence[dict[str, Any]]) -> list[Path]:
    """Write rows as CSV and Parquet."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    text, table = stem.with_suffix(".csv"), stem.with_suffix(".parquet")
    write_csv(text, rows)
    with whole(table) as part:
        pq.write_table(pa.Table.from_pylist(list(rows)), part, compression="zstd", version="2.6")
    return [text, table]


def _page(
    every: list[Synchrony], tables: dict[str, list[dict[str, Any]]], lines: list[Timeline], shots: list[Path],
    figures: list[Path], about: dict[str, Any],
) -> str:  # fmt: skip
    whole_root = every[0].row()
    people, faces = len(tables["people"]), sum(row["faces"] for row in tables["people"])
    title = f"Reactions in {Path(about['root']).name}"
    known = whole_root["synchrony"] is not None and whole_root["p"] is not None
    facts = [(f"{len(lines):,}", "videos"), (f"{people:,}", "people"), (f"{faces:,}", "faces")]
    if known:
        facts += [
            (f"{whole_root['synchrony']:.3f}", "synchrony: mean correlation of two people"),
            (f"{whole_root['null_mean']:.3f}", f"by chance; 95 % of shuffles are below {whole_root['null_95']:.3f}"),
            (f"{whole_root['p']:.3g}", "p: share of shuffles that reach it"),
        ]  # fmt: skip
    by = f"{about['run']}, classes {', '.join(about['labels'])}. The page shows people's faces; keep it private."
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="by">{escape(by)}</p>',
        html.facts(facts),
        "<h2>Synchrony</h2>",
        f"<p>{_MEANING}</p>",
        html.table(
            ("video", "of", "people", "pairs", "synchrony", "null", "null, 95 %", "p"),
            [
                (row["video_id"], row["of"], str(row["people"]), str(row["pairs"]),
                 *("–" if row[k] is None else f"{row[k]:.3f}" for k in ("synchrony", "null_mean", "null_95", "p")))
                for row in tables["synchrony"] if row["video_id"] == EVERY or row["of"] == ALL
            ],
        ),
        "<h2>Moments of strongest agreement</h2>",
    ]  # fmt: skip
    for row, shot in zip(tables["moments"], shots, strict=True):
        said = (
            f"{row['rank']}. {row['video_id']}, {row['time_ms'] / 1000:.2f} s (frame {row['frame_idx']}): "
            f"{row['expression']}, mean {row['mean']:.0%} of {row['people']} people; agreement {row['agreement']:.3f}"
        )
        body.append(f"<figure>{html.picture(shot, said)}<figcaption>{escape(said)}</figcaption></figure>")
    body.append("<h2>Over time</h2>")
    body += [html.picture(path, path.stem) for path in figures]
    if len(lines) > len(figures):
        body.append(f"<p>{len(lines) - len(figures):,} more videos are in timeline.csv.</p>")
    head = ("video", "person", "faces", "most frequent", "share", "entropy")
    body += [
        "<h2>People</h2>",
        html.table(head, [
            (row["video_id"], str(row["person_id"]), f"{row['faces']:,}", row["expression"], f"{row['share']:.0%}",
             f"{row['entropy']:.3f}") for row in tables["people"]
        ]),
        "<h2>Settings</h2>",
        html.table(("what", "value"), [(k, str(v)) for k, v in about.items()], text=True),
    ]  # fmt: skip
    return html.page(title, body)
