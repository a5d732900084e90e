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
    part: Annotated[
        str | None, typer.Option(help="Which of several networks in the file, as ema_model.", show_default="the first")
    ] = None,
) -> None:
    """Make safetensors of a pickled model. Reading such a file runs the code inside: do it knowingly.

    Example: fertrain convert model.pt --trust --labels neutral,happiness,sadness -o model.safetensors

    Everything else here reads weights without running code and refuses such files.
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
        say(f"not on this machine, stood in for: {name}")


def recipes(fmt: FormatOption = Format.TABLE) -> None:
    """List published settings that `--recipe` knows: paper, command, expected score, time.

    Example: fertrain recipes --format json
    """
    from fertrain.config.recipes import names, recipe

    rows = []
    for name in names():
        found = recipe(name)
        rows.append({"name": name, "paper": found.paper, "expects": found.expects, "time": found.time,
                     "command": found.command})  # fmt: skip
    emit(rows, fmt)
