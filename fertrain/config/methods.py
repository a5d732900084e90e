"""Settings of each method, with the origin of each default. No torch: `--help` reads them.

`ratio` is μ, unlabeled images for each labeled one; it decides most of what a step costs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rmset.errors import UsageError

Range = tuple[str, Callable[[float], bool]]
"""What a number has to be, in words, and whether one is. NaN is in none of them."""
COUNT: Range = ("1 or more", lambda x: x >= 1)
NOT_NEGATIVE: Range = ("0 or more", lambda x: 0 <= x < float("inf"))
POSITIVE: Range = ("above 0", lambda x: 0 < x < float("inf"))
SHARE: Range = ("from 0 to 1", lambda x: 0 <= x <= 1)


def expect(settings: Any, group: str, wanted: Range, *names: str) -> None:
    """Refuse settings out of range before anything is read.

    Args:
        settings: a dataclass.
        group: what `--set` puts before its names, "rmfer." say.
        wanted: what the numbers have to be.
        names: of the fields that have to be so.

    Raises:
        UsageError: names the first that is not, and what it is.
    """
    words, holds = wanted
    for name in names:
        if not holds(found := getattr(settings, name)):
            raise UsageError(f"expected {group}{name} {words}, found {found:g}")


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
    """Anchors of RMset beside each labeled batch. Not published; one keeps the cost near the labeled step's."""
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
class FixMatchConfig:
    """FixMatch (Sohn et al., NeurIPS 2020)."""

    ratio: int = 7
    """μ (paper)."""
    threshold: float = 0.95
    """Confidence τ from which a guessed label counts (paper)."""
    weight: float = 1.0
    """λ_u (paper)."""

    def __post_init__(self) -> None:
        expect(self, "fixmatch.", COUNT, "ratio")
        expect(self, "fixmatch.", SHARE, "threshold")
        expect(self, "fixmatch.", NOT_NEGATIVE, "weight")


@dataclass(frozen=True)
class UdaConfig:
    """UDA (Xie et al., NeurIPS 2020)."""

    ratio: int = 7
    """Authors' script for CIFAR-10 with 4,000 labels."""
    threshold: float = 0.8
    """Confidence β from which a guessed distribution counts (same script)."""
    temperature: float = 0.4
    """τ by which guesses are sharpened (same script)."""
    weight: float = 1.0
    """λ (paper)."""
    tsa: str = "none"
    """Training signal annealing: `none` (same script), `linear`, `log` or `exp` (paper, for few labels)."""

    def __post_init__(self) -> None:
        expect(self, "uda.", COUNT, "ratio")
        expect(self, "uda.", SHARE, "threshold")
        expect(self, "uda.", POSITIVE, "temperature")
        expect(self, "uda.", NOT_NEGATIVE, "weight")


@dataclass(frozen=True)
class MixMatchConfig:
    """MixMatch (Berthelot et al., NeurIPS 2019)."""

    ratio: int = 1
    """As many unlabeled as labeled images (paper)."""
    guesses: int = 2
    """K weak views whose predictions are averaged (paper)."""
    temperature: float = 0.5
    """T by which guesses are sharpened (paper)."""
    alpha: float = 0.75
    """Both parameters of mixup's Beta distribution (paper)."""
    weight: float = 75.0
    """λ_U at the end of its rise (paper, CIFAR-10)."""
    rise: int = 16_000
    """Steps over which λ_U rises from 0 (paper). At its full weight from the start it teaches the first guesses."""

    def __post_init__(self) -> None:
        expect(self, "mixmatch.", COUNT, "ratio", "guesses")
        expect(self, "mixmatch.", POSITIVE, "temperature", "alpha")
        expect(self, "mixmatch.", NOT_NEGATIVE, "weight", "rise")


@dataclass(frozen=True)
class ReMixMatchConfig:
    """ReMixMatch (Berthelot et al., ICLR 2020)."""

    ratio: int = 1
    """As many unlabeled as labeled images (paper)."""
    views: int = 2
    """K strong views, anchored by one weak view. Paper: 8; two, as later libraries have, cost half."""
    temperature: float = 0.5
    """T by which guesses are sharpened (paper)."""
    alpha: float = 0.75
    """Both parameters of mixup's Beta distribution (paper)."""
    weight: float = 1.5
    """λ_U, of mixed unlabeled images, weak view and strong ones (paper)."""
    unmixed_weight: float = 0.5
    """λ_Û1, of the first strong view as it is (paper)."""
    rotation_weight: float = 0.5
    """λ_r, of telling by how many quarter turns the first strong view was turned (paper)."""
    rise: int = 16_384
    """Steps over which the first two weights rise from 0 (authors' code: 1,024 kimg at a batch of 64)."""

    def __post_init__(self) -> None:
        expect(self, "remixmatch.", COUNT, "ratio", "views")
        expect(self, "remixmatch.", POSITIVE, "temperature", "alpha")
        expect(self, "remixmatch.", NOT_NEGATIVE, "weight", "unmixed_weight", "rotation_weight", "rise")


@dataclass(frozen=True)
class AdaCmConfig:
    """Ada-CM (Li et al., CVPR 2022)."""

    ratio: int = 1
    """As many unlabeled as labeled images (authors' code)."""
    margin: float = 0.8
    """Confidence margin of every class at the start, and the least it can be (authors' code)."""
    beta: float = 0.97
    """β: the most of a class's confidence that its margin can reach (authors' code)."""
    labeled_weight: float = 0.5
    """Of cross-entropy on labels (authors' code)."""
    confident_weight: float = 1.0
    """Of cross-entropy with guessed labels beyond the margin (authors' code)."""
    contrast_weight: float = 0.1
    """Of the contrast between two views of the others (authors' code)."""
    tau: float = 0.07
    """Temperature of that contrast (authors' code)."""

    def __post_init__(self) -> None:
        expect(self, "ada_cm.", COUNT, "ratio")
        expect(self, "ada_cm.", SHARE, "margin", "beta")
        expect(self, "ada_cm.", NOT_NEGATIVE, "labeled_weight", "confident_weight", "contrast_weight")
        expect(self, "ada_cm.", POSITIVE, "tau")


@dataclass(frozen=True)
class SimClrConfig:
    """SimCLR (Chen et al., ICML 2020), then labels."""

    ratio: int = 8
    """Ours: 256 images in a step of 32; the paper's batches are 256 to 8,192."""
    dim: int = 128
    """Length of what is compared (paper)."""
    tau: float = 0.5
    """Temperature (paper, appendix B.9: CIFAR-10)."""

    def __post_init__(self) -> None:
        expect(self, "simclr.", COUNT, "ratio", "dim")
        expect(self, "simclr.", POSITIVE, "tau")


@dataclass(frozen=True)
class MocoConfig:
    """MoCo v2 (He et al., CVPR 2020; Chen et al., 2020), then labels."""

    ratio: int = 8
    """256 images in a step of 32 (paper)."""
    dim: int = 128
    """Length of what is compared (paper)."""
    tau: float = 0.2
    """Temperature (v2)."""
    momentum: float = 0.999
    """Of the key network (paper, for 200 epochs and more: after 60 steps it still is the initial network by 94 %)."""
    queue: int = 4096
    """Keys kept as negatives. Paper: 65,536 of ImageNet's million; this is about as large a share of 60,000 faces."""

    def __post_init__(self) -> None:
        expect(self, "moco.", COUNT, "ratio", "dim", "queue")
        expect(self, "moco.", POSITIVE, "tau")
        expect(self, "moco.", SHARE, "momentum")


@dataclass(frozen=True)
class ByolConfig:
    """BYOL (Grill et al., NeurIPS 2020), then labels."""

    ratio: int = 8
    """Ours: 256 images in a step of 32; the paper's batch is 4,096, and smaller ones cost it little down to 256."""
    dim: int = 256
    """Length of what is predicted (paper)."""
    hidden: int = 4096
    """Width inside projector and predictor (paper)."""
    momentum: float = 0.996
    """Of the target network at the start; it rises to 1 (paper, for 1,000 epochs; its code has 0.97 for 40)."""

    def __post_init__(self) -> None:
        expect(self, "byol.", COUNT, "ratio", "dim", "hidden")
        expect(self, "byol.", SHARE, "momentum")


@dataclass(frozen=True)
class SimSiamConfig:
    """SimSiam (Chen and He, CVPR 2021), then labels."""

    ratio: int = 8
    """Ours: 256 images in a step of 32; the paper's batch is 512, and 256 does as well."""
    dim: int = 2048
    """Width of the projector and length of what is predicted (paper)."""
    bottleneck: int = 512
    """Width inside the predictor (paper)."""

    def __post_init__(self) -> None:
        expect(self, "simsiam.", COUNT, "ratio", "dim", "bottleneck")
