"""A page that compares groups of runs."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ...evaluation import html as page
from ...files import write_text
from .significance import Group


def write(groups: Sequence[Group], rows: Sequence[Mapping[str, Any]], measure: str, path: Path) -> None:
    """Render a dot plot by group, the table, and a description of the tests."""
    title = f"{measure.replace('_', ' ')} of {len(groups)} groups of runs"
    head = ("group", "runs", "mean", "std", "min", "max", "Welch t", "p", "pairs", "paired t", "p")
    lines = [
        (
            r["group"], str(r["runs"]), *(_percent(r[k]) for k in ("mean", "std", "min", "max")),
            _number(r["welch_t"]), _number(r["welch_p"]), str(r["pairs"] or "–"), _number(r["paired_t"]),
            _number(r["paired_p"]),
        )
        for r in rows
    ]  # fmt: skip
    png = io.BytesIO()
    dots(groups).savefig(png, dpi=130)
    figure = f'<img alt="each run" src="data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}">'
    note = (
        f"Two-sided t-tests against {groups[0].name}: Welch's for independent runs of unequal variance, paired over "
        "the seeds that both have. p is not corrected for the number of comparisons."
    )
    body = [
        f"<h1>{escape(title)}</h1>", f'<p class="by">{escape(groups[0].counted)}</p>', figure, "<h2>Table</h2>",
        page.table(head, lines), f"<p>{escape(note)}</p>",
    ]  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, page.page(title, body))


def dots(groups: Sequence[Group]) -> Figure:
    """Plot every run and the mean of each group."""
    figure = Figure(figsize=(7, 0.7 + 0.55 * len(groups)), layout="constrained")
    axes = figure.subplots()
    for k, g in enumerate(groups):
        values = [100 * v for v in g.values.values()]
        axes.plot(values, [k] * len(values), "o", color="#1f6f8b", alpha=0.6)
        axes.plot([100 * g.mean], [k], "|", ms=18, mew=2, color="#c8553d")
    axes.set_yticks(range(len(groups)), [g.name for g in groups])
    axes.invert_yaxis()
    axes.set(xlabel="%", ylim=(len(groups) - 0.5, -0.5))
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color="#e3e7e9")
    return figure


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
