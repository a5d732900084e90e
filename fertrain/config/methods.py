"""Settings of each method, with the origin of each default. Free of torch, so `--help` is quick.

`ratio` is μ, unlabeled images per labeled one; it dominates the cost of a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from .fields import BelowOne, Count, NotNegative, Positive, Settings, Share, Whole, Within

FROM_LABELS = ("supervised", "eac", "rul", "scn", "vac", "ldl")
"""Methods that learn from labels alone."""


@dataclass(frozen=True)
class RmferConfig(Settings):
    """RMFER (WACV 2024): instance-attention and anchor-contrastive learning."""

    GROUP: ClassVar[str] = "rmfer."

    tau: Positive = 1.0
    """Temperature τ of equations (2) and (10); authors' code: 1.0, in older settings 0.25 and 0.1."""
    lambda1: NotNegative = 1.2
    """Weight λ₁ of the attention loss, equation (6); authors' code at τ = 1.0."""
    lambda2: NotNegative = 1.0
    """Weight λ₂ of the contrastive loss. Not published; 1 is ours."""
    gamma: Share = 0.1
    """Share γ of the candidates that refinement keeps (paper)."""
    d: Whole = 5
    """Positives: other people at most d steps away (paper)."""
    d_far: Whole = 30
    """Negatives: the same person more than d' steps away (paper)."""
    max_candidates: Count = 50
    """Most positives, and most negatives, drawn for an anchor (authors' code)."""
    anchors: Count = 1
    """Anchors of RMset per labeled batch. Not published; one keeps the cost near that of a labeled step."""
    candidates: Literal["mashup", "random", "random-positives", "shuffled-identities", "delay"] = "mashup"
    """`mashup` (the paper's P and N), `random` (as many, drawn from anywhere, the authors' control), `random-positives`
    (the paper's N, P from anywhere), `shuffled-identities` (the paper's P; for N, other people's faces at N's moments),
    or `delay` (ours: P around each other person's own delay instead of around T)."""
    delays: str | None = None
    """For `delay`: the file that `fertrain pairs-quality` wrote for this root."""
    self_mask: Literal["exclude", "epsilon", "off"] = "exclude"
    """Diagonal of equation (1): `exclude` −∞, `epsilon` the paper's 1e-6, `off` cos = 1."""
    ial_lr: NotNegative = 0.06
    """Learning rate of the IAL phase, as a share of the base rate (authors: 6e-6 of 1e-4)."""
    acl_lr: NotNegative = 0.02
    """Learning rate of the ACL phase, as a share of the base rate (authors: 2e-6 of 1e-4)."""


@dataclass(frozen=True)
class EacConfig(Settings):
    """EAC (Zhang et al., ECCV 2022): erasing attention consistency."""

    GROUP: ClassVar[str] = "eac."

    weight: NotNegative = 5.0
    """λ of the attention consistency (paper and authors' code)."""
    erased: Share = 0.25
    """Largest share of the area that is erased, in half of the views (authors' code); 0 erases nothing."""
    views: Literal["each", "same"] = "each"
    """`each`: the mirrored view has its own erased area (authors' code for noisy labels); `same`: it mirrors the erased
    image (their code for clean labels)."""


@dataclass(frozen=True)
class VacConfig(Settings):
    """VAC (Guo et al., CVPR 2019): visual attention consistency."""

    GROUP: ClassVar[str] = "vac."

    weight: NotNegative = 1.0
    """Weight of the attention consistency (authors' code)."""
    scale: Share = 0.0
    """Side of the smaller views, as a share of the image's; 0: mirrored views only. Authors' code: 192 of 224 px."""


@dataclass(frozen=True)
class RulConfig(Settings):
    """RUL (Zhang et al., NeurIPS 2021): relative uncertainty learning."""

    GROUP: ClassVar[str] = "rul."

    dim: Count = 64
    """Width of the uncertainty branch (authors' code)."""
    dropout: BelowOne = 0.4
    """Dropout at its input (authors' code)."""


@dataclass(frozen=True)
class ScnConfig(Settings):
    """SCN (Wang et al., CVPR 2020): self-cure network."""

    GROUP: ClassVar[str] = "scn."

    high: Within = 0.7
    """β, share of the batch in the group of high importance (paper)."""
    rank_margin: Share = 0.07
    """δ₁ between the mean weights of both groups. Authors' code for batches of 64; paper: 0.15 for 1,024."""
    rank_weight: NotNegative = 1.0
    """Weight of the rank regularization beside cross-entropy (authors' code; the paper's γ = 0.5)."""
    relabel_margin: Share = 0.2
    """δ₂ by which another class must be more probable than the label (paper)."""
    relabel_after: Whole = 9
    """Epochs before labels may change (authors' code: from the 10th of 70)."""


@dataclass(frozen=True)
class LdlConfig(Settings):
    """LDL: the votes as the target, and ALSG's idea (Chen et al., CVPR 2020) of graphs in other label spaces."""

    GROUP: ClassVar[str] = "ldl."

    graphs: tuple[str, ...] = ()
    """Tables of auxiliary labels, such as action units and landmarks: image name and numbers. None: votes alone."""
    neighbors: Count = 8
    """Nearest images in each graph. Ours."""
    weight: NotNegative = 1.0
    """λ of the distance to the neighbors' answers. Ours."""


@dataclass(frozen=True)
class FixMatchConfig(Settings):
    """FixMatch (Sohn et al., NeurIPS 2020)."""

    GROUP: ClassVar[str] = "fixmatch."

    ratio: Count = 7
    """μ (paper)."""
    threshold: Share = 0.95
    """Confidence τ from which a guessed label counts (paper)."""
    weight: NotNegative = 1.0
    """λ_u (paper)."""


@dataclass(frozen=True)
class FlexMatchConfig(Settings):
    """FlexMatch (Zhang et al., NeurIPS 2021)."""

    GROUP: ClassVar[str] = "flexmatch."

    ratio: Count = 7
    """μ (paper)."""
    threshold: Share = 0.95
    """τ: confidence from which a guess is learned; the highest threshold of a class (paper)."""
    weight: NotNegative = 1.0
    """λ (paper)."""


@dataclass(frozen=True)
class FreeMatchConfig(Settings):
    """FreeMatch (Wang et al., ICLR 2023)."""

    GROUP: ClassVar[str] = "freematch."

    ratio: Count = 7
    """μ (paper)."""
    momentum: Share = 0.999
    """Momentum of thresholds and class shares (paper)."""
    weight: NotNegative = 1.0
    """w_u (paper)."""
    fairness_weight: NotNegative = 0.001
    """w_f (authors' settings for CIFAR-10 with 250 labels)."""


@dataclass(frozen=True)
class SoftMatchConfig(Settings):
    """SoftMatch (Chen et al., ICLR 2023)."""

    GROUP: ClassVar[str] = "softmatch."

    ratio: Count = 7
    """μ (paper)."""
    momentum: Share = 0.999
    """Momentum of mean, variance and class shares (paper)."""
    narrow: Positive = 2.0
    """n: the Gaussian's deviation is σ / n (authors' code)."""
    weight: NotNegative = 1.0
    """λ_max (paper)."""


@dataclass(frozen=True)
class UdaConfig(Settings):
    """UDA (Xie et al., NeurIPS 2020)."""

    GROUP: ClassVar[str] = "uda."

    ratio: Count = 7
    """Authors' script for CIFAR-10 with 4,000 labels."""
    threshold: Share = 0.8
    """Confidence β from which a guessed distribution counts (same script)."""
    temperature: Positive = 0.4
    """τ by which guesses are sharpened (same script)."""
    weight: NotNegative = 1.0
    """λ (paper)."""
    tsa: Literal["none", "linear", "log", "exp"] = "none"
    """Training signal annealing: `none` (same script), `linear`, `log` or `exp` (paper, for few labels)."""


@dataclass(frozen=True)
class MixMatchConfig(Settings):
    """MixMatch (Berthelot et al., NeurIPS 2019)."""

    GROUP: ClassVar[str] = "mixmatch."

    ratio: Count = 1
    """As many unlabeled as labeled images (paper)."""
    guesses: Count = 2
    """K weak views whose predictions are averaged (paper)."""
    temperature: Positive = 0.5
    """T by which guesses are sharpened (paper)."""
    alpha: Positive = 0.75
    """Both parameters of mixup's Beta distribution (paper)."""
    weight: NotNegative = 75.0
    """λ_U at the end of its rise (paper, CIFAR-10)."""
    rise: Whole = 16_000
    """Steps over which λ_U rises from 0 (paper). At full weight from the start, the first wrong guesses are learned."""


@dataclass(frozen=True)
class ReMixMatchConfig(Settings):
    """ReMixMatch (Berthelot et al., ICLR 2020)."""

    GROUP: ClassVar[str] = "remixmatch."

    ratio: Count = 1
    """As many unlabeled as labeled images (paper)."""
    views: Count = 2
    """K strong views, anchored by one weak view. Paper: 8; two, as later libraries have, cost half."""
    temperature: Positive = 0.5
    """T by which guesses are sharpened (paper)."""
    alpha: Positive = 0.75
    """Both parameters of mixup's Beta distribution (paper)."""
    weight: NotNegative = 1.5
    """λ_U, of mixed unlabeled images, weak view and strong ones (paper)."""
    unmixed_weight: NotNegative = 0.5
    """λ_Û1, of the first strong view as it is (paper)."""
    rotation_weight: NotNegative = 0.5
    """λ_r, of predicting the rotation (in quarter turns) of the first strong view (paper)."""
    rise: Whole = 16_384
    """Steps over which the first two weights rise from 0 (authors' code: 1,024 kimg at a batch of 64)."""


@dataclass(frozen=True)
class AdaCmConfig(Settings):
    """Ada-CM (Li et al., CVPR 2022)."""

    GROUP: ClassVar[str] = "ada_cm."

    ratio: Count = 1
    """As many unlabeled as labeled images (authors' code)."""
    margin: Share = 0.8
    """Confidence margin of every class at the start, and its minimum (authors' code)."""
    beta: Share = 0.97
    """β: upper bound of a margin, as a share of the class's mean confidence (authors' code)."""
    labeled_weight: NotNegative = 0.5
    """Weight of cross-entropy on labels (authors' code)."""
    confident_weight: NotNegative = 1.0
    """Weight of cross-entropy with guessed labels above the margin (authors' code)."""
    contrast_weight: NotNegative = 0.1
    """Weight of the contrast between two views of the others (authors' code)."""
    tau: Positive = 0.07
    """Temperature of that contrast (authors' code)."""


@dataclass(frozen=True)
class SimClrConfig(Settings):
    """SimCLR (Chen et al., ICML 2020), then labels."""

    GROUP: ClassVar[str] = "simclr."

    ratio: Count = 8
    """Ours: 256 images in a step of 32; the paper's batches are 256 to 8,192."""
    dim: Count = 128
    """Length of the compared vectors (paper)."""
    tau: Positive = 0.5
    """Temperature (paper, appendix B.9: CIFAR-10)."""


@dataclass(frozen=True)
class MocoConfig(Settings):
    """MoCo v2 (He et al., CVPR 2020; Chen et al., 2020), then labels."""

    GROUP: ClassVar[str] = "moco."

    ratio: Count = 8
    """256 images in a step of 32 (paper)."""
    dim: Count = 128
    """Length of the compared vectors (paper)."""
    tau: Positive = 0.2
    """Temperature (v2)."""
    momentum: Share = 0.999
    """Momentum of the key network (paper, for 200 epochs or more: after 60 steps it is still 94 % initial weights)."""
    queue: Count = 4096
    """Keys kept as negatives. Paper: 65,536 of ImageNet's million; this is about the same share of 60,000 faces."""


@dataclass(frozen=True)
class ByolConfig(Settings):
    """BYOL (Grill et al., NeurIPS 2020), then labels."""

    GROUP: ClassVar[str] = "byol."

    ratio: Count = 8
    """Ours: 256 images in a step of 32; the paper's batch is 4,096, and smaller ones cost it little down to 256."""
    dim: Count = 256
    """Length of the predicted vectors (paper)."""
    hidden: Count = 4096
    """Width inside projector and predictor (paper)."""
    momentum: Share = 0.996
    """Momentum of the target network at the start; it rises to 1 (paper, for 1,000 epochs; its code has 0.97 for
    40)."""


@dataclass(frozen=True)
class SimSiamConfig(Settings):
    """SimSiam (Chen and He, CVPR 2021), then labels."""

    GROUP: ClassVar[str] = "simsiam."

    ratio: Count = 8
    """Ours: 256 images in a step of 32; the paper's batch is 512, and 256 does as well."""
    dim: Count = 2048
    """Width of the projector and length of the predicted vectors (paper)."""
    bottleneck: Count = 512
    """Width inside the predictor (paper)."""
