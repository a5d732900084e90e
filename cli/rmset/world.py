"""The command `world`: a data set with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import progress, say
from .options import QuietOption


def world(
    output: Annotated[Path, typer.Option("-o", "--output", help="New or empty folder for root/ and labelled/.")],
    videos: Annotated[int, typer.Option("--videos", min=1, help="How many mashups.")] = 4,
    people: Annotated[int, typer.Option("--people", min=1, help="People per video; no person is in two videos.")] = 6,
    seconds: Annotated[float, typer.Option("--seconds", help="Length of each, 3 or more.")] = 30.0,
    fps: Annotated[float, typer.Option("--fps", help="Faces per second of a person.")] = 10.0,
    max_delay: Annotated[float, typer.Option("--max-delay", help="Longest delay of a person, seconds.")] = 0.5,
    noise: Annotated[float, typer.Option("--noise", help="Probability of ignoring an event, 0 to 1.")] = 0.1,
    size: Annotated[int, typer.Option("--size", help="Side of the crops and labeled images, px.")] = 64,
    labeled: Annotated[
        bool,
        typer.Option(
            "--labeled/--no-labeled", "--labelled/--no-labelled", help="Also write a labeled set of other people."
        ),
    ] = True,
    seed: Annotated[int, typer.Option("--seed", help="Seed of people, films and reactions.")] = 0,
    quiet: QuietOption = False,
) -> None:
    """Write a root of generated people with known expression, identity and delay.

    Boxes are known, so nothing is tracked. The root is an ordinary one; `root/truth/` holds the expression of every
    face. A person who ignores an event shows another expression, so at noise 1 people agree only by chance.

    Example: rmset world -o world --videos 1 --people 3 --seconds 6 --noise 0.2
    """
    from rmset.synth.world import LABELED, WorldConfig, write_world

    config = WorldConfig(videos, people, seconds, fps, max_delay, noise, size, seed)
    with progress() as report:
        root = write_world(output, config, labeled=LABELED if labeled else None, progress=report)
    faces = videos * people * config.frames
    truth = root.files.place("truth")
    say(f"{root.place}: {videos} videos, {videos * people} people, {faces:,} faces, truth in {truth}")
    if labeled:
        say(f"{output / 'labelled'}: other people with labels, `--labeled folder:{output / 'labelled'}` learns from it")


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(world)
