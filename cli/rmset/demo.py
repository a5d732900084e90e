"""Commands to try the program: demo, compose."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import progress, say
from .options import QuietOption

if TYPE_CHECKING:
    from rmset.synth.clips import Detect


def demo(
    folder: Annotated[Path, typer.Option("-o", "--output", help="Where everything goes.")] = Path("demo"),
    seed: Annotated[int, typer.Option("--seed", help="Seed of people, film and training.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the results of an earlier demo there.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Compose a small reaction mashup, run every stage on it, train on it, and report.

    Example: rmset demo -o demo
    """
    import shutil
    import time

    from .story import tell

    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    with progress() as report:
        result = tell(folder, seed, 1, report)
    seen = f"{result['images']} images of people never seen"
    say(f"accuracy {result['accuracy']:.1%} on {seen}; chance {result['chance']:.1%}")
    for name in ("preview", "sheet", "report"):
        say(f"{name:8} {result[name]}")
    say(f"{time.monotonic() - began:.0f} s in all")


LAYOUTS_HELP = "3x3, 2x3, 2x2, side, inset, bordered, row or center."
EDITS_HELP = (
    "Edits, comma separated, or `random`: vertical, square, film-full, rounded, bubbles, borders, "
    "own-blur, letterbox, duo, punch-ins, jump-cuts, film-cuts, leave, swap, replace, end-card, fade, moment, "
    "film-moment, title, captions, countdown, stickers, low-bitrate."
)


def compose(
    output: Annotated[Path, typer.Option("-o", "--output", help="The MP4 to write; the truth goes beside it.")],
    clips: Annotated[
        Path | None, typer.Option("--clips", help="Folder of clips, one person each; generated people if omitted.")
    ] = None,
    film: Annotated[
        Path | None, typer.Option("--film", help="Video for the trigger panel; a generated film if omitted.")
    ] = None,
    layout: Annotated[str, typer.Option("--layout", help=LAYOUTS_HELP)] = "3x3",
    people: Annotated[
        int | None, typer.Option("--people", min=1, help="Number of people; as many as fit if omitted.")
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="Length.")] = 30.0,
    size: Annotated[str, typer.Option("--size", help="Width x height of the frame.")] = "1920x1080",
    cover: Annotated[
        bool, typer.Option("--cover", help="Fill panels with clips, even if that crops faces; default: pad.")
    ] = False,
    letterbox: Annotated[bool, typer.Option("--letterbox", help="Show the whole film, between bars.")] = False,
    fps: Annotated[float, typer.Option("--fps", help="Frames per second.")] = 30.0,
    edits: Annotated[str, typer.Option("--edits", help=EDITS_HELP)] = "",
    seed: Annotated[int, typer.Option("--seed", help="Decides everything generated.")] = 0,
    quiet: QuietOption = False,
) -> None:
    """Compose a reaction mashup with known truth, from clips or generated people.

    Clips are played forwards and backwards. Their true boxes come from the exact detector on the clip itself; they are
    cached, so composing again is faster.

    With `--edits` the truth also records what covers what, including covered faces.

    Example: rmset compose --clips clips/ --film film.mp4 --seconds 60 -o mashup.mp4
    """
    from rmset.errors import UsageError
    from rmset.synth.compose import compose_clips, compose_demo

    frame = _size(size)
    chosen = tuple(name.strip() for name in edits.split(",") if name.strip())
    if clips is None and film is not None:
        raise UsageError("--film: expected clips to react to it; give --clips too, or neither")
    with progress() as report:
        if clips is None:
            truth = compose_demo(
                output,
                seconds=seconds,
                size=frame,
                people=people,
                layout=layout,
                fps=fps,
                edits=chosen,
                seed=seed,
                progress=report,
            )
        else:
            truth = compose_clips(
                output,
                clips,
                film,
                seconds=seconds,
                size=frame,
                people=people,
                layout=layout,
                letterbox=letterbox,
                pad=not cover,
                detect=_exact_detector(),
                cache=_cache(),
                fps=fps,
                edits=chosen,
                seed=seed,
                progress=report,
            )
    people_shown = len({f.person for f in truth.faces})
    say(f"{output}: {truth.segments[-1].end_frame} frames, {people_shown} people, {len(truth.faces)} true faces")


def _size(text: str) -> tuple[int, int]:
    from rmset.errors import UsageError

    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise UsageError(f"--size {text}: expected WIDTHxHEIGHT, such as 1920x1080")
    return int(width), int(height)


def _exact_detector() -> Detect:
    """Load the detector for true boxes when the first clip needs it."""
    from rmset.geometry import Boxes
    from rmset.parts.detect import Detector, load
    from rmset.parts.frames import Image

    loaded: list[Detector] = []

    def detect(image: Image) -> Boxes:
        if not loaded:
            loaded.append(load("mtcnn"))
        return loaded[0].detect(image, 40).boxes

    return detect


def _cache() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "rmset" / "clip-boxes-mtcnn-40"


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    for command in (demo, compose):
        app.command()(command)
