"""`fertrain predict`: a run on pictures and videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rmset.errors import RmsetError, RootError, UsageError

from ..console import Format, FormatOption, QuietOption, emit, progress, say, warn


def predict(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    target: Annotated[Path, typer.Argument(help="An image, a folder of images, or a video.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV, one row per face.")],
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
    fmt: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Predict every face in an image, a folder or a video: probabilities per class and frame.

    Example: fertrain predict runs/cel film.mp4 --stride 5 -o film.csv

    Faces are detected, cropped as in `rmset export` and `datasets align`, and prepared by the network's input spec.

    Unreadable files of a folder are skipped; a truncated video is used as far as it goes. Both are named on stderr; the
    CSV is still written, but the exit code is 1, because the result is incomplete.
    """
    from fertrain.evaluation.predict import crop_widening, frames_of, write_csv
    from fertrain.evaluation.predict import predict as judge
    from fertrain.files import whole
    from fertrain.models.weights import load as load_weights
    from fertrain.run_folder import RunFolder
    from rmset.parts.detect import load as load_detector

    if out.is_dir():
        raise UsageError(f"expected a CSV file to write, found the folder {out}; give -o {out / 'faces.csv'}")
    model, labels, spec = load_weights(RunFolder.open(run).weights)
    finder = load_detector(detector) if detect else None
    wider = crop_widening(spec, widen)
    if detect and spec.widen not in (None, wider):
        say(f"the run learned from faces cut {spec.widen:g} wider than their boxes, these are cut {wider:g} wider")
    faults: list[RmsetError] = []
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole(out.with_name(f".{out.name}.writable")) as probe:
            probe.touch()
        out.with_name(f".{out.name}.writable").unlink()
    except (OSError, RootError) as error:
        found = getattr(error, "strerror", None) or error
        raise UsageError(f"expected a CSV file to write, found {out}: {found}; give another -o") from None
    with progress() as bar, whole(out) as part, part.open("w", newline="", encoding="utf-8") as stream:
        frames = frames_of(target, stride, bar, faults.append)
        counts = write_csv(judge(model, spec, frames, finder, min_face=min_face, widen=wider), labels, stream)
    emit([{"label": name, "faces": n} for name, n in counts.items()], fmt)
    say(f"{sum(counts.values()):,} faces, written to {out}")
    for fault in faults:
        warn(f"fertrain: {fault}")
    if faults:
        raise typer.Exit(1)
