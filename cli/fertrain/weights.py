"""`fertrain convert` and `fertrain recipes`: weights of other people, settings of other people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import Format, FormatOption, emit, say


def convert(
    source: Annotated[Path, typer.Argument(help="A pickled file, x.pt or x.pth.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The safetensors file to write.")],
    trust: Annotated[bool, typer.Option("--trust", help="Yes, run the code in this file; I know its maker.")] = False,
    labels: Annotated[str | None, typer.Option(help="What its outputs mean, in order: a,b,c.")] = None,
) -> None:
    """Make safetensors of a pickled model. Reading such a file runs the code inside: do it knowingly.

    Example: fertrain convert model.pt --trust --labels neutral,happiness,sadness -o model.safetensors

    Everything else here reads weights without running code and refuses such files.
    """
    from fertrain.models.convert import convert as write

    names = [name.strip() for name in labels.split(",")] if labels else []
    n = write(source, out, trusted=trust, labels=names)
    say(f"{n} tensors written to {out}; `--weights {out}` starts from them")


def recipes(fmt: FormatOption = Format.TABLE) -> None:
    """Published settings that `--recipe` knows: paper, command, expected score, time.

    Example: fertrain recipes --format json
    """
    from fertrain.config.recipes import names, recipe

    rows = []
    for name in names():
        found = recipe(name)
        rows.append({"name": name, "paper": found.paper, "expects": found.expects, "time": found.time,
                     "command": found.command})  # fmt: skip
    emit(rows, fmt)
