"""`fertrain explain`: what a run looks at, class by class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rmset.errors import UsageError

from ..console import Format, FormatOption, emit, progress, say, set_quiet
from . import options as o


def explain(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    on: Annotated[
        str | None, typer.Option(help="NAME or NAME:SPLIT.", show_default="what the run was trained on")
    ] = None,
    occlusion: Annotated[bool, typer.Option(help="Cover regions one by one (Deep-Emotion).")] = False,
    attribution: Annotated[bool, typer.Option(help="Integrated gradients (captum), averaged per class.")] = False,
    side: Annotated[int | None, typer.Option(help="Of a covered region, px.", show_default="an eighth")] = None,
    per_class: Annotated[int, typer.Option(min=1, help="Images of each class, judged right.")] = 20,
    eval_rule: Annotated[str, typer.Option(help="Which images, where there are votes.")] = "majority",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the figures.", show_default="RUN/explain")
    ] = None,
    fmt: FormatOption = Format.TABLE,
    quiet: o.Quiet = False,
) -> None:
    """Which parts of a face a run cannot do without, averaged over each class; saved as figures.

    Example: fertrain explain runs/cel --on ferplus:valid --occlusion --attribution --per-class 20
    """
    from fertrain.explanation import explain_run

    if quiet:
        set_quiet(True)
    if not occlusion and not attribution:
        raise UsageError("expected --occlusion, --attribution or both, found neither")
    with progress() as bar:
        written = explain_run(
            run, on, out or run / "explain", occlusion=occlusion, attribution=attribution, side=side,
            per_class=per_class, eval_rule=eval_rule, progress=bar,
        )  # fmt: skip
    emit(written.rows, fmt)
    say(f"written: {', '.join(str(p) for p in written.files)}")
