"""Report of a run: one self-contained page, made from the run folder (and thumbnails of the user's own images)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from rmset.bounded import read_text
from rmset.errors import UnreadableError

from ..files import write_figure, write_text
from ..run_folder import RunFolder
from . import html as page
from . import model_card, plots
from .metrics import Scores, scores_from

_LARGEST = 256 << 20
"""Largest page, bytes, with all its pictures."""
_COUNTED = "<h2>How often it was counted</h2>"
_DATA = "<h2>Data</h2>"
_ROBUST = "<h2>Slices and corruptions</h2>"
_DPI = 130


def write(folder: RunFolder, metrics: dict[str, Any], thumbnails: Mapping[str, bytes] | None = None) -> Path:
    """Draw the figures and write report.html; returns its path.

    Args:
        folder: of a trained run.
        metrics: its scores, as `metrics.json` will hold them; that file comes last.
        thumbnails: PNG files by image name, shown beside the most confident mistakes.
    """
    config = folder.config_values()
    scores = scores_from(metrics)
    history = folder.history()
    title = f"{config['method']} · {config['model']['name']} · {config['data']['labeled'].rpartition('/')[2]}"
    body = [f"<h1>{escape(title)}</h1>", _by_line(config, metrics), page.facts(_facts(scores, metrics))]
    if "best_on_test" in metrics:
        best = metrics["best_on_test"]
        body.append(
            f'<p class="warn">Best on {escape(scores.split)}: {best["overall_accuracy"]:.2%} in epoch {best["epoch"]}. '
            f"{escape(best['warning'])}.</p>"
        )
    body += ["<h2>Classes</h2>", _classes(scores)]
    write_figure(folder.path / "confusion.png", plots.confusion(scores), dpi=_DPI)
    figures = [page.picture(folder.path / "confusion.png", "confusion matrix")]
    if "calibration" in metrics:
        write_figure(folder.path / "reliability.png", plots.reliability(metrics["calibration"]), dpi=_DPI)
        figures.append(page.picture(folder.path / "reliability.png", "reliability diagram"))
    body += ["<h2>Confusion and confidence</h2>", '<div class="pair">' + "".join(figures) + "</div>"]
    if "temperature" in metrics:
        body.append(_temperature(metrics["temperature"]))
    if "votes" in metrics:
        body += ["<h2>Agreement with the votes</h2>", _votes(metrics["votes"])]
    if history:
        write_figure(folder.path / "curves.png", plots.curves(history), dpi=_DPI)
        body += ["<h2>Learning</h2>", page.picture(folder.path / "curves.png", "loss and held-out accuracy by epoch")]
    if metrics.get("mistakes"):
        body += ["<h2>Surest mistakes</h2>", page.sheet(metrics["mistakes"], thumbnails or {})]
    if looked := folder.evaluations():
        body.append(_looked(looked, scores.split))
    body += [
        _DATA,
        page.table(("what", "value"), _flat(config.get("measured", {})), text=True),
        "<h2>Settings</h2>",
        "<details open><summary>config.toml</summary><pre>"
        + escape(read_text(folder.path / "config.toml"))
        + "</pre></details>",
    ]
    write_text(folder.report, page.page(title, body))
    return folder.report


def recount(folder: RunFolder) -> None:
    """Update the page's log of evaluations, and slices and corruptions, after a later command evaluated the run.

    The rest of the page stays: its thumbnails are stored nowhere else. An unfinished run has no page.
    """
    if not folder.report.is_file() or not (folder.path / "metrics.json").is_file():
        return
    with folder.counting():
        try:
            text = read_text(folder.report, _LARGEST)
        except UnreadableError:
            return  # not a page of ours
        before, heading, after = text.partition(_DATA)
        said = _looked(folder.evaluations(), folder.metrics()["split"])
        kept = before.partition(_ROBUST)[0].partition(_COUNTED)[0]
        write_text(folder.report, kept + _robustness(folder) + said + "\n" + heading + after)
    model_card.refresh(folder)


def _facts(scores: Scores, metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [
        (f"{scores.overall_accuracy:.2%}", "overall accuracy"),
        (f"{scores.average_accuracy:.2%}", "average accuracy (mean of class recalls)"),
        (f"{scores.n:,}", f"images: {scores.split.rpartition('/')[2]}, rule {scores.rule}"),
    ]
    if "calibration" in metrics:
        found.append((f"{metrics['calibration']['ece']:.3f}", "expected calibration error"))
    return found


def _by_line(config: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    data = config["data"]
    beside = f" with {data['unlabeled']}" if data.get("unlabeled") else ""
    what = f"{data['labeled']}, scheme {data['scheme']}{beside}. The epoch was chosen on {metrics['selected_on']}."
    return f'<p class="by">{escape(what)}</p>'


def _classes(scores: Scores) -> str:
    rows: list[tuple[str, ...]] = [
        (name, f"{c['n']:,}", f"{c['precision']:.1%}", f"{c['recall']:.1%}", f"{c['f1']:.1%}", page.bar(c["f1"]))
        for name, c in scores.per_class.items()
    ]
    # as in average accuracy: a class without images has no recall
    seen = [c for c in scores.per_class.values() if c["n"]]
    means = [sum(c[key] for c in seen) / max(1, len(seen)) for key in ("precision", "recall", "f1")]
    rows.append(("mean of classes", f"{scores.n:,}", *(f"{m:.1%}" for m in means), ""))
    return page.table(("class", "images", "precision", "recall", "F1", ""), rows)


def _votes(votes: Mapping[str, float]) -> str:
    names = {
        "cross_entropy": "cross-entropy −Σ p log q",
        "entropy": "entropy of the votes: the least that the cross-entropy can be",
        "kl": "Kullback-Leibler divergence KL(p ‖ q)",
        "jensen_shannon": "Jensen-Shannon divergence, at most 0.693",
    }
    rows = [(text, f"{votes[key]:.4f}") for key, text in names.items() if key in votes]
    note = "<p>Mean over the images, in nats; p: share of the votes for an emotion, q: the network's probabilities.</p>"
    return note + page.table(("measure", "nats"), rows)


def _robustness(folder: RunFolder) -> str:
    """Render accuracy by slice and on corrupted images, worst first; empty if not measured."""
    parts = []
    for split, found in folder.robustness().items():
        if slices := found.get("slices"):
            head = ("by", "slice", "images", "accuracy", "95 % interval", "ECE", "")
            rows = [
                (r["by"], r["slice"], f"{r['n']:,}", f"{r['accuracy']:.1%}", f"{r['low']:.1%} to {r['high']:.1%}",
                 f"{r['ece']:.3f}", page.bar(r["accuracy"]))
                for r in slices
            ]  # fmt: skip
            parts.append(f"<p>Slices of {escape(split)}, worst first.</p>" + page.table(head, rows))
        if corruptions := found.get("corruptions"):
            shown = ("corruption", "images", "clean", "mean", "1", "2", "3", "4", "5", "")
            lines = [
                (r["corruption"], f"{r['n']:,}", f"{r['clean']:.1%}", f"{r['accuracy']:.1%}",
                 *(f"{r[f'strength_{k}']:.1%}" for k in range(1, 6)), page.bar(r["accuracy"]))
                for r in corruptions
            ]  # fmt: skip
            said = f"<p>Accuracy on corrupted images of {escape(split)}, by strength, worst first.</p>"
            parts.append(said + page.table(shown, lines))
    return _ROBUST + "".join(parts) if parts else ""


def _temperature(found: Mapping[str, Any]) -> str:
    """Render NLL and calibration error before and after temperature scaling."""
    rows = [
        (name.replace("_", "-"), f"{p['n']:,}", *(f"{p[k]:.4f}" for k in ("nll_before", "nll_after")),
         *(f"{p[k]:.4f}" for k in ("ece_before", "ece_after")))
        for name in ("held_out", "reported") if (p := found[name])["n"]
    ]  # fmt: skip
    said = (
        f"<p>Temperature {found['value']:g}, fitted on {escape(found['fitted_on'])}: probabilities are "
        f"softmax(logits / {found['value']:g}). The scores above are without it; it changes no class.</p>"
    )
    return said + page.table(("images", "n", "NLL", "with temperature", "ECE", "with temperature"), rows)


def _looked(rows: list[dict[str, str]], split: str) -> str:
    """Summarize all evaluations, one line per reason, and count those of the reported split."""
    head = ("split", "rule", "overall accuracy", "times", "why")
    lines = []
    for (split_, rule, why), same in itertools.groupby(rows, key=lambda r: (r["split"], r["rule"], r["why"])):
        found = [float(row["overall_accuracy"]) for row in same]
        span = f"{min(found):.2%}" if len(found) == 1 else f"{min(found):.2%} to {max(found):.2%}"
        lines.append((split_, rule, span, str(len(found)), why))
    own = sum(row["split"] == split for row in rows)
    said = f"The reported images were counted {'once' if own == 1 else f'{own} times'}."
    if own == 0:
        said = "These are other images than the reported ones, which chose the epoch."
    return f"{_COUNTED}<p>{said}</p>" + page.table(head, lines, text=True)


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key} ")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            rows.append((prefix + key.replace("_", " "), text))
    return rows
