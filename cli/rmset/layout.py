"""`rmset layout`: where the film is and who is in which panel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import Format, FormatOption, emit, say
from .build import run_steps
from .options import ForceOption, JobsOption, QuietOption, RootOption, VideosArgument, find_root

app = typer.Typer(
    help="Trigger regions and people: propose, set, show.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def propose(
    videos: VideosArgument = None,
    samples: Annotated[int, typer.Option("--samples", min=2, help="Frames looked at.")] = 24,
    jobs: JobsOption = 1,
    force: ForceOption = False,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Propose trigger regions and people. What a person has drawn or confirmed is kept.

    Example: rmset layout propose
    """
    from rmset.stages.layout import NAME, ProposeConfig

    run_steps(find_root(root), videos, [(NAME, ProposeConfig(samples=samples))], jobs, force)


@app.command("set")
def set_(
    video: Annotated[str, typer.Argument(help="Video id.")],
    segment: Annotated[str | None, typer.Option("--segment", help="Frames A:B; all segments if omitted.")] = None,
    trigger: Annotated[list[str] | None, typer.Option("--trigger", help="x0,y0,x1,y1 px; may be repeated.")] = None,
    person: Annotated[list[str] | None, typer.Option("--person", help="x0,y0,x1,y1 px; may be repeated.")] = None,
    append: Annotated[bool, typer.Option("--append", help="Add to what is there instead of replacing it.")] = False,
    reviewed: Annotated[bool | None, typer.Option("--reviewed/--unreviewed", help="Confirmed by a person.")] = None,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Replace what is named, in the segments named.

    Example: rmset layout set mashup-ab12cd34 --trigger 640,360,1280,720 --person 120,80,260,250 --reviewed
    """
    from rmset.geometry import parse_box
    from rmset.records import Layout, Segment
    from rmset.stages.layout import edit

    place = find_root(root)
    (video_id,) = place.select([video])
    record = place.record(video_id)
    with place.files.lock(video_id):
        blank = Layout(video_id, record.frame_size, (Segment(0, record.frame_count, 0),))
        before = place.layout(video_id) if place.has_layout(video_id) else blank
        after = edit(
            before,
            span=_span(segment),
            triggers=[parse_box(t) for t in trigger or []],
            people=[parse_box(p) for p in person or []],
            append=append,
            reviewed=reviewed,
        )
        place.write_layout(after)
    say(f"{video_id}: layout written; `rmset track {video_id}` will use it")


def _span(text: str | None) -> tuple[int, int] | None:
    from rmset.errors import UsageError

    if text is None:
        return None
    try:
        start, end = (int(v) for v in text.split(":"))
    except ValueError:
        raise UsageError(f"--segment {text}: expected frames A:B") from None
    if not 0 <= start < end:
        raise UsageError(f"--segment {text}: expected 0 <= A < B")
    return start, end


@app.command()
def show(
    video: Annotated[str, typer.Argument(help="Video id.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Draw the layout into this PNG.")] = None,
    segment: Annotated[int, typer.Option("--segment", help="Which segment to draw, from 0.")] = 0,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Print a layout, or draw it on its reference frame.

    Example: rmset layout show mashup-ab12cd34 -o layout.png
    """
    place = find_root(root)
    (video_id,) = place.select([video])
    if output is not None:
        from rmset.inspect.preview import layout_picture

        layout_picture(place, video_id, segment, output)
        say(f"drawn: {output}")
    rows: list[dict[str, Any]] = []
    for number, part in enumerate(place.layout(video_id).segments):
        frames = f"{part.start_frame}:{part.end_frame}"
        common = {"segment": number, "frames": frames, "reviewed": part.reviewed}
        rows += [
            common
            | {"what": "trigger", "box": _text(r.box), "panel": None, "source": r.source, "confidence": r.confidence}
            for r in part.trigger_regions
        ]
        rows += [
            common
            | {
                "what": f"person {p.person_id}",
                "box": _text(p.box),
                "panel": _text(p.panel) if p.panel else None,
                "source": p.source,
                "confidence": p.confidence,
            }
            for p in part.people
        ]
    emit(rows, format, ["segment", "frames", "what", "box", "panel", "source", "confidence", "reviewed"])


def _text(box: tuple[float, ...]) -> str:
    return ",".join(f"{v:g}" for v in box)
