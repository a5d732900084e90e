"""A page of plots that describes a root: faces per person, size, sharpness, head pose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rmset.errors import UsageError
from rmset.inspect.stats import Histogram
from rmset.outputs import written

_SUFFIXES = (".png", ".pdf", ".svg")


def write(path: Path, rows: list[dict[str, Any]], histograms: list[Histogram]) -> None:
    """Write the page.

    Args:
        path: PNG, PDF or SVG, by its suffix.
        rows: as `stats.per_video` gives them.
        histograms: as `stats.distributions` gives them.

    Raises:
        UsageError: another suffix.
    """
    if path.suffix not in _SUFFIXES:
        raise UsageError(f"{path}: expected a file that ends in {', '.join(_SUFFIXES)}, found {path.suffix!r}")
    # The object interface: nothing global is touched, and no display is needed.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = 3
    lines = -(-(len(histograms) + 1) // columns)
    figure = Figure(figsize=(5 * columns, 3.2 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    faces = sorted((row["faces"] for row in rows), reverse=True)
    axes[0].bar(range(len(faces)), faces, width=1.0, color="#4269d0")
    axes[0].set(title=f"faces of each of {len(faces)} videos", xlabel="videos, by faces", ylabel="faces")
    for axis, histogram in zip(axes[1:], histograms, strict=False):
        axis.bar(histogram.left, histogram.count, width=histogram.width, align="edge", color="#4269d0")
        axis.set(title=histogram.name, ylabel="faces or crops")
        axis.margins(x=0.01)
    for axis in axes[len(histograms) + 1 :]:
        axis.remove()
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    with written(path) as partial:
        figure.savefig(partial, format=path.suffix[1:], dpi=110)
