"""`fertrain world`: a root made of labeled images, with known truth; with or without identity."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rmset.errors import UsageError

from ..console import Format, FormatOption, QuietOption, emit, progress, say


def world(
    labeled: Annotated[
        str,
        typer.Option(
            help="Labeled set: a name of `fertrain datasets list`, or KIND:PATH; with --identity also generated:N, N "
            "generated people."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The root to write (with --identity its folder); it must not exist.")
    ],
    identity: Annotated[
        bool,
        typer.Option(
            "--identity", help="Panels keep their person; the set must name its subjects, who are split first."
        ),
    ] = False,
    rule: Annotated[str, typer.Option(help="Rule that selects training images by votes.")] = "majority",
    without: Annotated[Path | None, typer.Option(help="Leave out the images listed in labels.csv of a run.")] = None,
    videos: Annotated[int, typer.Option(min=1, help="How many mashups.")] = 8,
    people: Annotated[int, typer.Option(min=1, help="Panels in each.")] = 8,
    seconds: Annotated[float, typer.Option(help="Length of each, 3 or more.")] = 60.0,
    fps: Annotated[float, typer.Option(help="Images per second of a panel.")] = 10.0,
    max_delay: Annotated[float, typer.Option(help="Longest delay of a panel, seconds.")] = 0.5,
    noise: Annotated[float, typer.Option(help="Probability of ignoring an event, 0 to 1.")] = 0.1,
    size: Annotated[int, typer.Option(help="Side of the crops, px.")] = 48,
    seed: Annotated[int, typer.Option(min=0, help="Seed of script and images.")] = 0,
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Write a root whose panels show labeled images, following a scripted expression.

    Example: fertrain world --labeled ferplus --videos 1 --people 3 --seconds 6 -o scripted

    Pixels are real and the truth is known, but people have no identity: each frame shows another *training* image.

    With --identity (ckplus, jaffe, ferg, tables with a column subject) people are dealt to disjoint sides, and a panel
    shows one person throughout. OUT/root has the unlabeled people, OUT/labelled the others: train, valid (for tuning),
    test (never seen), OUT/people.csv the sides.

    The root contains the images themselves; do not publish it. Train on it with `fertrain semi --unlabeled
    rmset:scripted`.
    """
    if identity:
        if rule != "majority" or without is not None:
            raise UsageError(
                "expected neither --rule nor --without with --identity, whose sets have no votes, found one"
            )
        _identity(labeled, out, (videos, people, seconds, fps, max_delay, noise, size), seed, fmt)
        return
    from fertrain.config.methods import RmferConfig
    from fertrain.unlabeled.scripted_mashup import ScriptedConfig, write_scripted
    from rmset.synth.expressions import EXPRESSIONS

    config = ScriptedConfig(
        labeled, rule, None if without is None else str(without), videos, people, seconds, fps, max_delay, noise, size,
        seed,
    )  # fmt: skip
    with progress() as bar:
        root, counts = write_scripted(out, config, bar)
    emit([{"expression": name, "images": n} for name, n in counts.items()], fmt)
    if missing := [e for e in EXPRESSIONS if e not in counts]:
        say(f"no images of {', '.join(missing)}; those expressions are omitted")
    # images shown at one moment by all panels, times the moments from which candidates are drawn (defaults of `semi`)
    if few := [name for name, n in counts.items() if n < people * (2 * RmferConfig().d + 1)]:
        say(f"few images of {', '.join(few)}: the positives of such a face will show its own photograph")
    faces = videos * people * round(seconds * fps)
    say(f"{root.place}: {videos} videos of {people} panels, {faces:,} faces, truth in {root.files.place('truth')}")


def _identity(
    labeled: str, out: Path, script: tuple[int, int, float, float, float, float, int], seed: int, fmt: Format
) -> None:
    from fertrain.unlabeled.identity_mashup import IdentityConfig, write_identity_world

    with progress() as bar:
        world = write_identity_world(out, IdentityConfig(labeled, *script, seed=seed), bar)
    emit([{"expression": name, **images} for name, images in world.images.items()], fmt, title="images by side")
    sides = list(world.sides.values())
    counts = ", ".join(f"{sides.count(side)} {side}" for side in dict.fromkeys(sides))
    say(f"{len(sides)} people: {counts}; {world.panels} in each of {script[0]} mashups")
    say(f"fertrain semi --labeled parquet:{world.labeled} --unlabeled rmset:{world.root.place}")
