"""`fertrain explain`: saliency, attention and feature maps of runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rmset.errors import UsageError

from ..console import Format, FormatOption, QuietOption, emit, progress, say


class Map(StrEnum):
    """Projection of features to a plane."""

    MDS = "mds"
    TSNE = "tsne"


def explain(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; several are shown side by side.")],
    on: Annotated[
        str | None, typer.Option(help="NAME or NAME:SPLIT.", show_default="the first run's labeled set")
    ] = None,
    occlusion: Annotated[bool, typer.Option(help="Cover regions one by one (Deep-Emotion).")] = False,
    attribution: Annotated[bool, typer.Option(help="Integrated gradients (captum), averaged per class.")] = False,
    attention: Annotated[
        bool,
        typer.Option(help="Attention of anchors over candidates, before and after refinement, and between classes."),
    ] = False,
    embedding: Annotated[
        bool, typer.Option(help="Features of labeled images on a plane, and mean distances to class centers.")
    ] = False,
    side: Annotated[
        int | None, typer.Option(min=1, help="Side of a covered region, px.", show_default="an eighth")
    ] = None,
    per_class: Annotated[
        int | None,
        typer.Option(min=2, help="Images per class.", show_default="20; 16 for attention, 40 for embedding"),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(help="For --attention: root of the anchors.", show_default="$RMSET_ROOT, else data/rmset"),
    ] = None,
    anchor: Annotated[
        list[str] | None,
        typer.Option(metavar="VIDEO:PERSON:FRAME", help="An anchor.", show_default="three with confident predictions"),
    ] = None,
    candidates: Annotated[int, typer.Option(min=1, max=25, help="Candidates of each kind per anchor.")] = 10,
    map_: Annotated[Map, typer.Option("--map", help="mds preserves distances, tsne neighbors.")] = Map.MDS,
    eval_rule: Annotated[str, typer.Option(help="Rule that selects images by votes.")] = "majority",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the figures.", show_default="RUN/explain")
    ] = None,
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Explain runs by figures and numbers: important regions of a face, attention, maps of features.

    Example: fertrain explain runs/base runs/ial runs/acl --attention --embedding --root data/rmset -o pictures

    Occlusion and attribution are written per run, to RUN/explain or to a folder named after the run in --out. Figures
    of
    --attention show faces of the root; keep them private.
    """
    if not (occlusion or attribution or attention or embedding):
        raise UsageError("expected --occlusion, --attribution, --attention or --embedding, found none")
    folder = out or runs[0] / "explain"
    files: list[Path] = []
    with progress() as bar:
        if occlusion or attribution:
            from fertrain.analysis.explain.saliency import explain_run
            from fertrain.run_folder import told_apart

            for run, name in zip(runs, told_apart(runs), strict=True):
                own = run / "explain" if out is None else (out if len(runs) == 1 else out / name)
                written = explain_run(
                    run, on, own, occlusion=occlusion, attribution=attribution, side=side,
                    per_class=per_class or 20, eval_rule=eval_rule, progress=bar,
                )  # fmt: skip
                emit(written.rows, fmt)
                files += written.files
        if attention:
            from fertrain.analysis.explain.side_by_side import explain_attention
            from rmset.root import Root

            seen = explain_attention(
                runs, Root.find(root), on, folder, anchors=anchor or (), candidates=candidates,
                per_class=per_class or 16, eval_rule=eval_rule, seed=seed, progress=bar,
            )  # fmt: skip
            emit(seen.rows, fmt)
            files += seen.files
        if embedding:
            from fertrain.analysis.explain.side_by_side import explain_embedding

            seen = explain_embedding(
                runs, on, folder, how=map_.value, per_class=per_class or 40, eval_rule=eval_rule, seed=seed,
                progress=bar,
            )  # fmt: skip
            emit(seen.rows, fmt)
            files += seen.files
    say(f"written: {', '.join(str(p) for p in files)}")
