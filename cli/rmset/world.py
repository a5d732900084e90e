"""A world whose truth is known: world."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import progress, say
from .options import QuietOption


def world(
    output: Annotated[Path, typer.Option("-o", "--output", help="New or empty folder: root/ and labelled/ go there.")],
    videos: Annotated[int, typer.Option("--videos", min=1, help="How many mashups.")] = 4,
    people: Annotated[int, typer.Option("--people", min=1, help="In each; no person is in two.")] = 6,
    seconds: Annotated[float, typer.Option("--seconds", help="Length of each, 3 or more.")] = 30.0,
    fps: Annotated[float, typer.Option("--fps", help="Faces of a person in a second.")] = 10.0,
    max_delay: Annotated[float, typer.Option("--max-delay", help="Longest delay of a person, seconds.")] = 0.5,
    noise: Annotated[float, typer.Option("--noise", help="Probability of not following an event, 0 to 1.")] = 0.1,
    size: Annotated[int, typer.Option("--size", help="Side of the crops and labeled images, px.")] = 64,
    labeled: Annotated[
        bool,
        typer.Option(
            "--labeled/--no-labeled", "--labelled/--no-labelled", help="Also write a labeled set of other people."
        ),
    ] = True,
    seed: Annotated[int, typer.Option("--seed", help="Decides the people, the films and who follows them.")] = 0,
    quiet: QuietOption = False,
) -> None:
    """Write a root of generated people whose expression, identity and delay are known, to measure against.

    No video is tracked: boxes are known. The root is a real one; `root/truth/` tells what every face shows. Somebody
    who does not follow an event of the film shows something of their own instead, so at noise 1 people agree exactly
    as often as chance has it.

    Example: rmset world -o world --videos 1 --people 3 --seconds 6 --noise 0.2
    """
    from rmset.synth.world import LABELED, WorldConfig, write_world

    config = WorldConfig(videos, people, seconds, fps, max_delay, noise, size, seed)
    with progress() as report:
        root = write_world(output, config, labeled=LABELED if labeled else None, progress=report)
    faces = videos * people * config.frames
    say(f"{root.path}: {videos} videos, {videos * people} people, {faces:,} faces, truth in {root.path / 'truth'}")
    if labeled:
        say(f"{output / 'labelled'}: other people with labels, `--labeled folder:{output / 'labelled'}` learns from it")


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(world)
