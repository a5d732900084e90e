"""`rmset layout`: trigger regions and people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import Format, FormatOption, echo, emit, say
from .build import run_steps
from .options import ForceOption, JobsOption, QuietOption, RootOption, VideosArgument, find_root

app = typer.Typer(
    help="Trigger regions and people: propose, review, set, show, check.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def propose(
    videos: VideosArgument = None,
    samples: Annotated[int, typer.Option("--samples", min=2, help="Frames of a segment searched for faces.")] = 12,
    jobs: JobsOption = 1,
    force: ForceOption = False,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Propose trigger regions and people. Layouts drawn or confirmed by hand are kept.

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
    append: Annotated[bool, typer.Option("--append", help="Add to the layout instead of replacing it.")] = False,
    reviewed: Annotated[bool | None, typer.Option("--reviewed/--unreviewed", help="Mark as confirmed.")] = None,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Replace the given parts of a layout, in the given segments.

    Example: rmset layout set mashup-ab12cd34 --trigger 640,360,1280,720 --person 120,80,260,250 --reviewed
    """
    from rmset.geometry import parse_box
    from rmset.layout_record import Layout, Segment
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


@app.command()
def check(
    videos: VideosArgument = None,
    format: FormatOption = Format.TABLE,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Find invalid and unreviewed layouts; exit code 1 if one is invalid.

    Example: rmset layout check --format csv
    """
    from rmset.stages.layout import check as find

    place = find_root(root)
    rows: list[dict[str, Any]] = []
    for video_id in place.select(videos):
        if not place.has_layout(video_id):
            remedy = "run `rmset layout propose`"
            rows.append(_row(video_id, None, "", "has no layout", remedy, True))
            continue
        found = find(place.layout(video_id), place.record(video_id).frame_count)
        rows += [_row(video_id, f.segment, f.frames, f.problem, f.remedy, f.is_error) for f in found]
    if rows or format is not Format.TABLE:
        emit(rows, format, ["video_id", "segment", "frames", "weight", "problem", "remedy"])
    else:
        say("no findings: every layout is valid and reviewed")
    if any(row["weight"] == "error" for row in rows):
        raise typer.Exit(1)


def _row(video_id: str, segment: int | None, frames: str, problem: str, remedy: str, is_error: bool) -> dict[str, Any]:
    weight = "error" if is_error else "waits"
    return {
        "video_id": video_id, "segment": segment, "frames": frames, "weight": weight, "problem": problem,
        "remedy": remedy,
    }  # fmt: skip


@app.command()
def review(
    videos: VideosArgument = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 for any free one.")] = 0,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True,
    root: RootOption = None,
    quiet: QuietOption = False,
) -> None:
    """Confirm layouts on a local page, least confident first; `a` accepts, Ctrl-C closes it.

    Example: rmset layout review --no-open
    """
    from rmset.review import serve

    def ready(address: str) -> None:
        # The address is the result: it contains the access token.
        echo(address)
        say("open it in a browser on this machine; Ctrl-C closes it")
        if open_browser:
            import webbrowser

            webbrowser.open(address)

    place = find_root(root)
    serve(place, place.select(videos), port=port, ready=ready)


def _text(box: tuple[float, ...]) -> str:
    return ",".join(f"{v:g}" for v in box)
