"""Model card of a run, `model_card.md`: only what the run's files state or what was measured; nothing is guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rmset.errors import RmsetError

from ..files import write_text
from ..models.checkpoint_file import read_file
from ..run_folder import RunFolder
from ..transforms.input_spec import InputSpec

NAME = "model_card.md"


def write(folder: RunFolder, metrics: Mapping[str, Any]) -> None:
    """Write the card; called with the scores, because metrics.json comes last.

    Args:
        folder: of a trained run.
        metrics: its scores.
    """
    write_text(folder.path / NAME, "\n".join(_lines(folder, metrics)) + "\n")


def refresh(folder: RunFolder) -> None:
    """Write the card of a finished run again, after a later command measured more."""
    if (folder.path / NAME).is_file() and (folder.path / "metrics.json").is_file():
        write(folder, folder.metrics())


def _lines(folder: RunFolder, metrics: Mapping[str, Any]) -> list[str]:
    config = folder.config_values()
    tensors, meta = read_file(folder.weights)
    spec = InputSpec.from_json(meta["input"])
    data, measured, made = config["data"], config.get("measured", {}), config.get("made_with", {})
    train = measured.get("train", {})
    color = "gray" if spec.gray else "RGB"
    counted = (
        f"On {metrics['split']}, rule {metrics['rule']}, {metrics['n']:,} images; the epoch was chosen on "
        f"{metrics.get('selected_on', 'not recorded')}."
    )
    return [
        f"# {meta['model']}, {config['method']}, {data['labeled'].rpartition('/')[2]}",
        "",
        "Every number here was measured by `fertrain`, or stands in the run's own files.",
        "",
        "## Network",
        "",
        *_table(("what", "value"), [
            ("network", meta["model"]),
            ("numbers in the weights file", f"{sum(t.numel() for t in tensors.values()):,}"),
            ("input", f"{spec.size} × {spec.size} px, {color}, preprocessing {spec.preprocess}"),
            ("crop of the training faces", spec.crop),
            ("at test", _at_test(meta)),
            ("classes", ", ".join(metrics["labels"])),
            ("made with", ", ".join(f"{k} {v}" for k, v in made.items()) or "not recorded"),
        ]),
        "",
        "## Training images",
        "",
        *_table(("what", "value"), [
            ("set", str(data["labeled"])),
            ("scheme, rule", f"{data['scheme']}, {train.get('rule', 'not recorded')}"),
            ("learned from", f"{train['learnt_from']:,}" if "learnt_from" in train else "not recorded"),
            ("held out", f"{train['held_out']:,}, by {train['holdout_by']}" if "held_out" in train else "not recorded"),
            ("sha256 of names and targets", str(train.get("sha256", "not recorded"))),
            ("unlabeled images", str(data.get("unlabeled") or "none")),
        ]),
        "",
        "## Accuracy",
        "",
        counted,
        "",
        *_table(("measure", "value"), [
            ("overall accuracy", f"{metrics['overall_accuracy']:.2%}"),
            ("average accuracy (mean of class recalls)", f"{metrics['average_accuracy']:.2%}"),
        ]),
        "",
        *_table(("class", "images", "precision", "recall", "F1"), [
            (name, f"{c['n']:,}", f"{c['precision']:.1%}", f"{c['recall']:.1%}", f"{c['f1']:.1%}")
            for name, c in metrics.get("per_class", {}).items()
        ]),
        "",
        *_calibration(metrics.get("temperature")),
        *_robustness(folder),
        *_looks(folder, metrics["split"]),
    ]  # fmt: skip


def _at_test(meta: Mapping[str, str]) -> str:
    scales = json.loads(meta.get("test_scales", "[]"))
    flipped = meta.get("flip_test") == "true"
    if scales in ([], [1.0]):
        return "mean of the image and its flip" if flipped else "the image alone"
    views = "the image and its flip, each" if flipped else "the image"
    return f"mean of {views} at {', '.join(f'{scale:g}' for scale in scales)} times its side"


def _calibration(found: Mapping[str, Any] | None) -> list[str]:
    if not found:
        return ["## Calibration", "", "Not measured.", ""]
    rows = [
        (name.replace("_", "-"), f"{p['n']:,}", *(f"{p[k]:.4f}" for k in ("nll_before", "nll_after")),
         *(f"{p[k]:.4f}" for k in ("ece_before", "ece_after")))
        for name in ("held_out", "reported") if (p := found[name])["n"]
    ]  # fmt: skip
    return [
        "## Calibration", "", f"Temperature {found['value']:g}, fitted on {found['fitted_on']}.", "",
        *_table(("images", "n", "NLL", "with temperature", "ECE", "with temperature"), rows), "",
    ]  # fmt: skip


def _robustness(folder: RunFolder) -> list[str]:
    lines = ["## Slices and corruptions", ""]
    every = folder.robustness()
    if not every:
        return [*lines, "Not measured; `fertrain evaluate RUN --on NAME --slices --corruptions` measures them.", ""]
    for split, found in every.items():
        if slices := found.get("slices"):
            rows = [(r["by"], r["slice"], f"{r['n']:,}", f"{r['accuracy']:.1%}", f"{r['low']:.1%} to {r['high']:.1%}")
                    for r in slices[:12]]  # fmt: skip
            head = ("by", "slice", "images", "accuracy", "95 % interval")
            lines += [f"Slices of {split}, worst first:", "", *_table(head, rows), ""]
        if corruptions := found.get("corruptions"):
            worse = [
                (r["corruption"], f"{r['n']:,}", f"{r['clean']:.1%}", f"{r['accuracy']:.1%}",
                 *(f"{r[f'strength_{k}']:.1%}" for k in range(1, 6)))
                for r in corruptions
            ]  # fmt: skip
            kinds = ("corruption", "images", "clean", "mean", "1", "2", "3", "4", "5")
            lines += [
                f"Accuracy on corrupted images of {split}, by strength, worst first:",
                "",
                *_table(kinds, worse),
                "",
            ]
    return lines


def _looks(folder: RunFolder, split: str) -> list[str]:
    try:
        rows = folder.evaluations()
    except RmsetError:
        return []
    own = sum(row["split"] == split for row in rows)
    said = f"The reported images were counted {own} times." if own else "The reported images chose the epoch."
    return ["## How often it was counted", "", said]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"

    return [line(head), "|" + "---|" * len(head), *(line(row) for row in rows)]
