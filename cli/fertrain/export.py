"""`fertrain export`: a run as a file for other runtimes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..console import Format, FormatOption, QuietOption, emit, progress, say


class To(StrEnum):
    """Form of the file."""

    ONNX = "onnx"
    OPENVINO = "openvino"


def export(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    to: Annotated[To, typer.Option(help="Form of the file.")] = To.ONNX,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File, or folder for OpenVINO.", show_default="RUN/model.onnx, RUN/openvino"),
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Quantize, and measure the loss.")] = False,
    on: Annotated[
        str | None,
        typer.Option(
            help="NAME or NAME:SPLIT of the images for the comparison and for --int8.",
            show_default="the held-out part for --int8, else made pictures",
        ),
    ] = None,
    eval_rule: Annotated[str, typer.Option(help="Rule that selects images by votes.")] = "majority",
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Export a run to ONNX or OpenVINO, with its labels, input and temperature in the file's metadata.

    Example: fertrain export runs/cel --to onnx -o cel.onnx

    The file takes uint8 images and gives logits and calibrated probabilities; preparation is inside. It is written only
    if it equals torch within 1e-4 on 100 images. With --int8, half of the images set the ranges, and the others measure
    the loss. Needs the extra `onnx`.
    """
    from fertrain.deploy.export import export as write

    with progress() as bar:
        made = write(run, to.value, out, int8=int8, on=on, rule=eval_rule, progress=bar, say=say)
    emit([made.row()], fmt)
    for name, value in made.differences.items():
        say(f"{name} equals torch to {value:.1g} on {made.checked_on}")
    if made.loss is not None:
        say(str(made.loss))
    say(f"written: {made.path}")
