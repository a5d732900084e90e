"""One self-contained page per run, made of nothing but the run folder."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from . import plots
from .metrics import scores_from
from .runs import RunFolder

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:60rem;margin:2.5rem auto;padding:0 1.2rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2.2rem 0 .6rem}
.by{color:#666;margin:.2rem 0 1.6rem}.big{display:flex;gap:2.5rem;flex-wrap:wrap}
.big b{display:block;font-size:2rem;font-weight:600;line-height:1.2}.big span{color:#666}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:.22rem .9rem .22rem 0;border-bottom:1px solid #e6e6e6;text-align:right;font-weight:400}
th{color:#666}td:first-child,th:first-child{text-align:left}
img{max-width:100%;height:auto}details summary{cursor:pointer;color:#666}
pre{background:#f6f6f4;padding:.8rem;overflow:auto;font-size:.82rem}
"""


def write(folder: RunFolder) -> Path:
    """Draw the figures and write report.html; returns its path."""
    metrics, config = folder.metrics(), folder.config_values()
    scores = scores_from(metrics)
    history = folder.history()
    if history:
        plots.curves(history, folder.path / "curves.png")
    plots.confusion(scores, folder.path / "confusion.png")
    title = f"{config['method']} · {config['model']['name']}"
    facts = [
        (f"{scores.overall_accuracy:.2%}", "overall accuracy"),
        (f"{scores.average_accuracy:.2%}", "average accuracy (mean of class recalls)"),
        (f"{scores.n:,}", f"images: {scores.split}, rule {scores.rule}"),
    ]
    body = [
        f"<h1>{escape(title)}</h1>",
        _by_line(config, str(metrics["selected_on"])),
        '<div class="big">' + "".join(f"<div><b>{a}</b><span>{escape(b)}</span></div>" for a, b in facts) + "</div>",
        "<h2>Classes</h2>",
        _table(
            ("class", "images", "recall", "precision", "F1"),
            [
                (name, f"{c['n']:,}", *(f"{c[key]:.1%}" for key in ("recall", "precision", "f1")))
                for name, c in scores.per_class.items()
            ],
        ),
        "<h2>Confusion</h2>",
        _image(folder.path / "confusion.png", "confusion matrix"),
    ]
    if history:
        body += ["<h2>Learning</h2>", _image(folder.path / "curves.png", "loss and held-out accuracy by epoch")]
    body += [
        "<h2>Data</h2>",
        _table(("what", "value"), _flat(config.get("measured", {}))),
        "<h2>Settings</h2>",
        "<details><summary>config.toml</summary><pre>"
        + escape((folder.path / "config.toml").read_text(encoding="utf-8"))
        + "</pre></details>",
    ]
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )
    folder.report.write_text(page, encoding="utf-8")
    return folder.report


def _by_line(config: Mapping[str, Any], selected_on: str) -> str:
    data = config["data"]
    beside = f" with {data['unlabeled']}" if data.get("unlabeled") else ""
    what = f"{data['labeled']}, scheme {data['scheme']}{beside}. The epoch was chosen on {selected_on}."
    return f'<p class="by">{escape(what)}</p>'


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    cells = "".join(f"<th>{escape(h)}</th>" for h in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(str(c))}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{lines}</table>"


def _image(path: Path, alt: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{data}">'


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key} ")
        else:
            rows.append(
                (prefix + key.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else str(value))
            )
    return rows
