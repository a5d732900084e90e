"""`fertrain predict`: a run on pictures, videos and roots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from rmset.errors import RmsetError, RootError, UsageError

from ..console import Format, FormatOption, QuietOption, emit, progress, say, warn


def predict(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    target: Annotated[Path, typer.Argument(help="An image, a video, a folder of both, or a root with crops.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="One row per face: x.csv, x.parquet or x.json.")],
    detect: Annotated[
        bool, typer.Option(help="Detect faces; --no-detect for images that are already face crops.")
    ] = True,
    detector: Annotated[str, typer.Option(help="mtcnn or yunet.")] = "mtcnn",
    min_face: Annotated[float, typer.Option(help="Smallest face to look for, px.")] = 40,
    widen: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Margin of the crop, as a share of the face's width.",
            show_default="as in the run's training data, else 0.31",
        ),
    ] = None,
    stride: Annotated[int, typer.Option(min=1, help="Use every N-th frame of a video.")] = 1,
    follow: Annotated[
        bool, typer.Option(help="Follow the people of videos (mtcnn); --no-follow searches every frame by itself.")
    ] = True,
    smooth: Annotated[
        float, typer.Option(min=0, help="Average each person's probabilities over so many seconds; 0: none.")
    ] = 0.0,
    calibrated: Annotated[
        bool, typer.Option("--calibrated", help="Divide the logits by the run's temperature.")
    ] = False,
    overlay: Annotated[
        Path | None, typer.Option(help="Also write the video with predictions drawn on it, x.mp4.", show_default="none")
    ] = None,
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Predict every face in an image, a video, a folder or a root: probabilities per class, entropy, person.

    Example: fertrain predict runs/cel film.mp4 --smooth 0.5 --overlay seen.mp4 -o film.csv

    Faces are detected, cropped as in `rmset export` and `datasets align`, and prepared by the network's input spec. In
    videos people are followed, and keep their number; in a root these are its people. With --smooth the column
    smoothed_s says so.

    Unreadable files of a folder are skipped; a truncated video is used as far as it goes. Both are named on stderr; the
    table is still written, but the exit code is 1, because the result is incomplete.
    """
    from fertrain.evaluation.faces import FaceConfig, is_root, predict_faces
    from fertrain.evaluation.features import open_run
    from fertrain.evaluation.overlay import write_overlay
    from fertrain.evaluation.predict import Prediction, crop_widening
    from fertrain.evaluation.tables import check_table, write_table
    from fertrain.files import whole
    from rmset.parts.probe import VIDEO_SUFFIXES

    if out.is_dir():
        raise UsageError(f"expected a table to write, found the folder {out}; give -o {out / 'faces.csv'}")
    opened = open_run(run)
    check_table(out, opened.labels)
    if overlay is not None and not (target.is_file() and target.suffix.lower() in VIDEO_SUFFIXES):
        raise UsageError(f"expected one video for --overlay, found {target}; leave the option out")
    temperature = opened.folder.temperature() if calibrated else 1.0
    config = FaceConfig(detect, detector, min_face, widen, stride, follow, smooth, temperature)
    wider = crop_widening(opened.spec, widen)
    rooted = is_root(target)
    if detect and not rooted and opened.spec.widen not in (None, wider):
        learned = f"the run learned from faces cut {opened.spec.widen:g} wider than their boxes"
        say(f"{learned}, these are cut {wider:g} wider")
    if detect and follow and detector != "mtcnn" and not rooted:
        say(f"people are followed by mtcnn only; with {detector}, every frame is searched by itself")
    faults: list[RmsetError] = []
    _writable(out)
    kept: list[Prediction] = []

    def every(found: Iterator[Prediction]) -> Iterator[Prediction]:
        for one in found:
            if overlay is not None:
                kept.append(one)
            yield one

    with progress() as bar:
        with whole(out) as part:
            found = predict_faces(opened, target, config, progress=bar, tell=faults.append)
            counts = write_table(every(found), opened.labels, part, out.suffix, smoothed=smooth > 0)
        if overlay is not None:
            frames = write_overlay(target, kept, opened.labels, overlay, stride=stride, progress=bar)
    emit([{"label": name, "faces": n} for name, n in counts.items()], fmt)
    say(f"{sum(counts.values()):,} faces, written to {out}")
    if smooth:
        say(f"probabilities are averaged over {smooth:g} s of each person; the column smoothed_s says so")
    if calibrated:
        say(f"probabilities are softmax(logits / {temperature:g})")
    if overlay is not None:
        say(f"{frames:,} frames, written to {overlay}")
    for fault in faults:
        warn(f"fertrain: {fault}")
    if faults:
        raise typer.Exit(1)


def _writable(out: Path) -> None:
    """Check that the table can be written, before minutes of work.

    Raises:
        UsageError: it cannot.
    """
    from fertrain.files import whole

    probe = out.with_name(f".{out.name}.writable")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole(probe) as empty:
            empty.touch()
        probe.unlink()
    except (OSError, RootError) as error:
        found = getattr(error, "strerror", None) or error
        raise UsageError(f"expected a table to write, found {out}: {found}; give another -o") from None
