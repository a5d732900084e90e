"""The steps of `rmset demo`: the whole path once, on pixels in the public domain.

compose a mashup -> add -> layout -> track -> export -> preview -> train -> evaluate on people never seen
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rmset.errors import RmsetError
from rmset.progress import Progress
from rmset.root import Root

from ..console import Format, emit, say

SECONDS, SIZE, PEOPLE = 16.0, (1280, 720), 8
# Crops of the demo: smaller and fewer than the paper's, because its faces are about 130 px high and its net sees 64.
CROP_SIZE, STRIDE = 128, 2


def tell(folder: Path, seed: int, jobs: int, progress: Progress) -> dict[str, Any]:
    """Run the whole path in `folder`; finished steps are not repeated.

    Returns:
        The results: accuracy, chance, and paths of the pictures.

    Raises:
        RmsetError: a stage failed.
    """
    from rmset.engine import build
    from rmset.inspect import evaluate, preview, sheet, stats
    from rmset.pipeline import Config
    from rmset.stages import audit, export, fetch, layout, track
    from rmset.synth.compose import compose_demo
    from rmset.synth.labeled import write_labeled_set
    from rmset.truth import Truth

    folder.mkdir(parents=True, exist_ok=True)
    mashup, truth_file, labeled = folder / "mashup.mp4", folder / "mashup.truth.json", folder / "labelled"
    root = Root(folder / "root")

    with _step(1, f"compose a reaction mashup: {PEOPLE} people react to a film for {SECONDS:g} s"):
        if not (mashup.exists() and truth_file.exists()):
            compose_demo(mashup, seconds=SECONDS, size=SIZE, people=PEOPLE, seed=seed, progress=progress)
        say(f"   {mashup}, its truth in {truth_file.name}")
    with _step(2, "add it, find the film and the people, track every face, write crops"):
        record = fetch.add(root, mashup)
        steps: list[tuple[str, Config]] = [
            (layout.NAME, layout.ProposeConfig()),
            (track.NAME, track.TrackConfig()),
            (audit.NAME, audit.AuditConfig()),
            (export.NAME, export.ExportConfig(size=CROP_SIZE, stride=STRIDE)),
        ]
        for outcome in build(root, [record.video_id], steps, jobs=jobs, progress=progress):
            if outcome.error:
                raise RmsetError(f"demo, {outcome.stage}: {outcome.error}")
            counted = ", ".join(f"{k} {v}" for k, v in outcome.counts.items())
            say(f"   {outcome.stage:7} {counted}")
    with _step(3, "count, and compare the tracks with the truth"):
        rows = stats.per_video(root)
        emit([stats.total(rows)], Format.TABLE)
        scores = evaluate.video(root, record.video_id, Truth.read(truth_file)).row
        shown = ("hota", "idf1", "recall", "precision", "id_switches", "trigger_iou", "boxes_in_trigger")
        emit([{name: scores[name] for name in shown}], Format.TABLE)
    with _step(4, "draw the preview video and the contact sheet"):
        preview.write(root, record.video_id, folder / "preview.mp4", progress=progress)
        preview.layout_picture(root, record.video_id, 0, folder / "layout.png")
        sheet.write(root, record.video_id, folder / "sheet.png")
        say(f"   {folder / 'preview.mp4'}, {folder / 'layout.png'}, {folder / 'sheet.png'}")
    with _step(5, "train: a small labeled set of other people, RMset as the unlabeled one (RMFER)"):
        if not labeled.exists():
            # Written beside and renamed, so that an interrupted demo repeats this step.
            unfinished = folder / "labeled.partial"
            _remove(unfinished)
            write_labeled_set(unfinished, size=96, seed=seed, progress=progress)
            unfinished.rename(labeled)
        metrics = _train(folder, labeled, root, seed, progress)
    chance = 1 / len(metrics["labels"])
    return {
        "accuracy": metrics["overall_accuracy"],
        "images": metrics["n"],
        "chance": chance,
        "preview": folder / "preview.mp4",
        "sheet": folder / "sheet.png",
        "report": folder / "run" / "report.html",
    }


def _train(folder: Path, labeled: Path, root: Root, seed: int, progress: Progress) -> dict[str, Any]:
    from fertrain.config.methods import RmferConfig
    from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
    from fertrain.training.experiment import run

    config = RunConfig(
        method="rmfer",
        data=DataConfig(labeled=f"folder:{labeled}", unlabeled=f"rmset:{root.place}", balanced=True),
        # ImageNet weights come from a package, so no model hub is needed.
        model=ModelConfig(name="tf_efficientnet_lite0", image_size=64, pretrained=True),
        optim=OptimConfig(epochs=(4, 1, 1), batch_size=32, lr=1e-3),
        rmfer=RmferConfig(max_candidates=20),
        augment="affine",
        seed=seed,
        precision="fp32",
        out=str(folder / "run"),
        overwrite=True,
    )
    return run(config, progress=progress, say=lambda line: say(f"   {line}")).metrics


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


class _step:  # noqa: N801  (used like the word it is)
    """Print each step and its duration."""

    def __init__(self, number: int, what: str) -> None:
        self._head = f"{number}. {what}"

    def __enter__(self) -> None:
        say(self._head)
        self._began = time.monotonic()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            say(f"   {time.monotonic() - self._began:.0f} s")
            say("")
