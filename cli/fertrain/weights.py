"""`fertrain convert` and `fertrain recipes`: published weights and settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import Format, FormatOption, emit, say


def convert(
    source: Annotated[Path, typer.Argument(help="A pickled file, x.pt or x.pth.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The safetensors file to write.")],
    trust: Annotated[
        bool, typer.Option("--trust", help="Run the code in this file; required. Only for files from people you trust.")
    ] = False,
    labels: Annotated[str | None, typer.Option(help="Classes of its outputs, in order: a,b,c.")] = None,
    part: Annotated[
        str | None, typer.Option(help="One of several networks in the file, as ema_model.", show_default="the first")
    ] = None,
) -> None:
    """Convert a pickled model to safetensors. This runs the code inside the file.

    Example: fertrain convert model.pt --trust --labels neutral,happiness,sadness -o model.safetensors

    All other commands read weights without running code, and refuse such files.
    """
    from fertrain.models.convert import convert as write

    names = [name.strip() for name in labels.split(",")] if labels else []
    done = write(source, out, trusted=trust, labels=names, part=part or "")
    where = f" (of {done.part})" if done.part else ""
    say(f"{done.tensors} tensors{where} written to {out}; `--weights {out}` starts from them")
    if done.head:
        say(f"the labels are those of {done.head}")
    if done.others:
        say(f"the file also holds {', '.join(done.others)}: --part takes another")
    for name in done.stood_in:
        say(f"not installed, replaced by a stand-in: {name}")


def recipes(fmt: FormatOption = Format.TABLE) -> None:
    """List the published settings for `--recipe`: paper, command, expected score, time.

    Example: fertrain recipes --format json
    """
    from fertrain.config.recipes import names, recipe

    rows = []
    for name in names():
        found = recipe(name)
        rows.append({"name": name, "paper": found.paper, "expects": found.expects, "time": found.time,
                     "command": found.command})  # fmt: skip
    emit(rows, fmt)
