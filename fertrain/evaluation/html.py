"""HTML pieces of a self-contained page: no scripts, no external fonts or pictures."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

_STYLE = """
:root{--ink:#1d2529;--soft:#66737a;--line:#e3e7e9;--accent:#1f6f8b;--paper:#fbfbfa}
*{box-sizing:border-box}
body{font:15px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif;color:var(--ink);background:var(--paper);margin:0}
main{max-width:62rem;margin:0 auto;padding:2.6rem 1.4rem 4rem}
h1{font-size:1.65rem;line-height:1.2;margin:0;letter-spacing:-.01em}
h2{font-size:1.08rem;margin:2.6rem 0 .7rem;padding-bottom:.3rem;border-bottom:2px solid var(--line)}
p{max-width:46rem}.by{color:var(--soft);margin:.4rem 0 1.6rem}
.warn{background:#fff4e0;border-left:4px solid #d9921f;padding:.6rem .9rem;margin:1rem 0}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.8rem;margin:1.4rem 0}
.facts div{background:#fff;border:1px solid var(--line);border-radius:6px;padding:.8rem 1rem}
.facts b{display:block;font-size:1.75rem;font-weight:600;line-height:1.25;color:var(--accent)}
.facts span{color:var(--soft);font-size:.86rem}
.pair{display:grid;grid-template-columns:minmax(0,3fr) minmax(0,2fr);gap:1.6rem;align-items:start}
@media (max-width:44rem){.pair{grid-template-columns:1fr}table{display:block;overflow-x:auto}}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;background:#fff;font-size:.92rem}
td,th{padding:.3rem .8rem;border-bottom:1px solid var(--line);text-align:right;font-weight:400}
th{color:var(--soft)}td:first-child,th:first-child{text-align:left}
td.text,th.text{text-align:left;word-break:break-word}
.bar{display:inline-block;height:.55rem;background:var(--accent);border-radius:2px;vertical-align:middle;opacity:.75}
img{max-width:100%;height:auto}figure{margin:0}figcaption{color:var(--soft);font-size:.86rem}
.sheet{display:grid;grid-template-columns:repeat(auto-fill,minmax(7.4rem,1fr));gap:.9rem}
.sheet img{width:100%;image-rendering:auto;border-radius:4px;display:block}
.sheet figcaption{line-height:1.3;margin-top:.25rem}.sheet b{color:#b3432b;font-weight:600}
details summary{cursor:pointer;color:var(--soft)}
pre{background:#f1f3f3;padding:.9rem;overflow:auto;font-size:.82rem;border-radius:6px}
footer{margin-top:3rem;color:var(--soft);font-size:.84rem}
@media print{body{background:#fff}h2{break-after:avoid}.sheet,table,figure{break-inside:avoid}}
"""


def page(title: str, body: Sequence[str]) -> str:
    """Render a whole document."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def facts(values: Iterable[tuple[str, str]]) -> str:
    """Render the key figures at the top: (number, caption)."""
    boxes = "".join(f"<div><b>{escape(a)}</b><span>{escape(b)}</span></div>" for a, b in values)
    return f'<div class="facts">{boxes}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, text: bool = False) -> str:
    """Render a table; numbers are right-aligned, bars and (with `text`) all cells left-aligned."""
    style = ' class="text"' if text else ""
    cells = "".join(f"<th{style}>{escape(h)}</th>" for h in head)
    lines = "".join("<tr>" + "".join(_cell(c, style) for c in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{lines}</table>"


class Markup(str):
    """Ready HTML for a table cell; plain text is escaped."""

    __slots__ = ()


def bar(share: float, width: float = 6) -> Markup:
    """Render a bar in a table cell, `width` em long for 1."""
    return Markup(f'<span class="bar" style="width:{width * share:.2f}em"></span>')


def _cell(value: str, style: str) -> str:
    return f'<td class="text">{value}</td>' if isinstance(value, Markup) else f"<td{style}>{escape(value)}</td>"


def picture(path: Path, alt: str) -> str:
    """Embed a PNG."""
    return _img(path.read_bytes(), alt)


def sheet(mistakes: Iterable[Mapping[str, Any]], thumbnails: Mapping[str, bytes]) -> str:
    """Render thumbnails with true and predicted class."""
    cells = []
    for m in mistakes:
        shown = _img(thumbnails[m["name"]], m["name"]) if m["name"] in thumbnails else ""
        caption = f"{escape(m['true'])} → <b>{escape(m['predicted'])}</b> {m['confidence']:.0%}"
        cells.append(f'<figure title="{escape(m["name"])}">{shown}<figcaption>{caption}</figcaption></figure>')
    return f'<div class="sheet">{"".join(cells)}</div>'


def _img(data: bytes, alt: str) -> str:
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{base64.b64encode(data).decode()}">'
