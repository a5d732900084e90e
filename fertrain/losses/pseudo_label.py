"""Losses on guessed labels: FixMatch and its successors, UDA, Ada-CM, MixMatch and ReMixMatch (without mixup).

    p, q: (U, K) probabilities on weak views, rows sum to 1    logits: (U, K) on strong views

q is a target: every function stops its gradient, or a method could lower its loss by changing its own targets.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F  # noqa: N812

from ..devices import to_device
from ..errors import UnknownNameError
from .precision import full
from .supervised import cel

ANNEALING = ("none", "linear", "log", "exp")


def confident_cross_entropy(logits: Tensor, q: Tensor, margins: Tensor | float) -> tuple[Tensor, Tensor]:
    """(1/U) Σ_b 1(max q_b ≥ m) · H(argmax q_b, p_b): FixMatch, equation (4); with a margin by class, Ada-CM's L_u.

    Images below the margin count as zero, not as absent: the divisor is U.

    Args:
        logits: of the strong views, (U, K).
        q: of the weak views, (U, K), rows sum to 1.
        margins: one for all, or one per class (K,); the guessed class selects it.

    Returns:
        The loss, and which images counted, bool (U,).

    >>> q = torch.tensor([[0.97, 0.03], [0.6, 0.4]])
    >>> loss, counted = fertrain.losses.confident_cross_entropy(torch.zeros(2, 2), q, 0.95)
    >>> round(loss.item(), 4), counted.tolist()
    (0.3466, [True, False])
    """
    confidence, guess = q.detach().max(dim=1)
    margin = margins[guess] if isinstance(margins, Tensor) else margins
    counted = confidence >= margin
    losses = F.cross_entropy(full(logits), guess, reduction="none")
    return (losses * counted).mean(), counted


def weighted_cross_entropy(logits: Tensor, q: Tensor, weights: Tensor) -> Tensor:
    """(1/U) Σ_b w_b H(argmax q_b, p_b): FlexMatch, FreeMatch and SoftMatch differ in the weights (U,).

    >>> q, weights = torch.tensor([[0.9, 0.1], [0.4, 0.6]]), torch.tensor([1.0, 0.5])
    >>> round(fertrain.losses.weighted_cross_entropy(torch.zeros(2, 2), q, weights).item(), 4)
    0.5199
    """
    losses = F.cross_entropy(full(logits), q.detach().argmax(dim=1), reduction="none")
    return (losses * weights).mean()


def curriculum_thresholds(counts: Tensor, images: int, threshold: float) -> Tensor:
    """FlexMatch, equations (11) and (12): τ β_c / (2 − β_c), β_c = σ_c / max(max σ, N − Σ σ). (K,) -> (K,).

    Args:
        counts: (K,) σ, images whose last confident guess is the class.
        images: N, unlabeled images; while most have none, the thresholds rise from 0.
        threshold: τ.

    >>> fertrain.losses.curriculum_thresholds(torch.tensor([30, 60]), 100, 0.9)
    tensor([0.3000, 0.9000])
    """
    most = max(int(counts.max()), images - int(counts.sum()), 1)
    beta = counts.float() / most
    return threshold * beta / (2 - beta)


def truncated_gaussian(confidence: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """SoftMatch, equation (5): exp(−min(0, c − μ)² / (2 σ²)); 1 from the mean on. (U,) -> (U,).

    >>> fertrain.losses.truncated_gaussian(torch.tensor([0.9, 0.4]), torch.tensor(0.6), torch.tensor(0.02))
    tensor([1.0000, 0.3679])
    """
    below = (confidence - mean).clamp_max(0)
    return torch.exp(-below.square() / (2 * variance.clamp_min(1e-12)))


def fairness(logits: Tensor, shares: Tensor, guessed: Tensor) -> Tensor:
    """FreeMatch, equation (11): Σ_c Norm(p̃ / h̃)_c log Norm(p̄ / h̄)_c over the images that count; 0 if none.

    Classes that are not predicted for any of them are left out of p̄ / h̄, as in the authors' code.

    Args:
        logits: (n, K), of the strong views that count.
        shares: (K,) p̃, mean prediction so far.
        guessed: (K,) h̃, histogram of guesses so far.

    >>> even = torch.tensor([0.5, 0.5])
    >>> round(fertrain.losses.fairness(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), even, even).item(), 4)
    -0.6931
    """
    if not len(logits):
        return logits.new_zeros(())
    p = full(logits).softmax(dim=1)
    own = torch.bincount(p.argmax(dim=1), minlength=p.shape[1]) / len(p)
    wanted, found = (
        mean * torch.where(histogram > 0, 1 / histogram.clamp_min(1e-12), 0.0)
        for mean, histogram in ((shares, guessed), (p.mean(dim=0), own))
    )
    return (wanted / wanted.sum() * (found / found.sum() + 1e-12).log()).sum()


def sharpened_divergence(
    logits: Tensor, weak_logits: Tensor, temperature: float, threshold: float
) -> tuple[Tensor, Tensor]:
    """(1/U) Σ_b 1(max q_b > β) · KL(softmax(weak_b / τ) ‖ p_b), where q = softmax(weak): UDA, section 2.3.

    Confidence is measured before sharpening.

    Returns:
        The loss, and which images counted, bool (U,).

    >>> logits = torch.tensor([[4.0, 0.0]])
    >>> loss, counted = fertrain.losses.sharpened_divergence(logits, logits, temperature=1.0, threshold=0.8)
    >>> loss.item(), counted.tolist()
    (0.0, [True])
    """
    weak = full(weak_logits.detach())
    counted = weak.softmax(dim=1).amax(dim=1) > threshold
    target = F.log_softmax(weak / temperature, dim=1)
    losses = F.kl_div(F.log_softmax(full(logits), dim=1), target, reduction="none", log_target=True).sum(dim=1)
    return (losses * counted).mean(), counted


def annealed_threshold(done: float, classes: int, schedule: str) -> float:
    """η_t = α_t (1 − 1/K) + 1/K (UDA, section 2.4 of the first versions): images above it are left out.

    Args:
        done: t/T, share of the training that is done.
        classes: K.
        schedule: α_t: `linear` t/T, `log` 1 − e^{−5 t/T}, `exp` e^{5 (t/T − 1)}; `none` 1, which keeps all images.
    """
    if schedule not in ANNEALING:
        raise UnknownNameError("training signal annealing", schedule, ANNEALING)
    alpha = {"none": 1.0, "linear": done, "log": 1 - math.exp(-5 * done), "exp": math.exp(5 * (done - 1))}[schedule]
    return alpha * (1 - 1 / classes) + 1 / classes


def annealed(logits: Tensor, targets: Tensor, threshold: float) -> Tensor:
    """Mean cross-entropy over the labeled images whose class is not yet more probable than the threshold; 0 if none.

    Args:
        logits: (B, K).
        targets: (B, K), rows sum to 1.
        threshold: η_t.
    """
    log_p = F.log_softmax(full(logits), dim=1)
    known = log_p.detach().exp().gather(1, targets.argmax(dim=1, keepdim=True)).squeeze(1)
    counted = known <= threshold
    losses = -(targets * log_p).sum(dim=1)
    return torch.where(counted, losses, 0.0).sum() / counted.sum().clamp_min(1)


def adapted_margins(confidence: Tensor, counts: Tensor, epoch: int, beta: float, least: float) -> Tensor:
    """Ada-CM's margins after an epoch: T_c = max(least, β / (1 + e^{−epoch}) · mean confidence of class c).

    Args:
        confidence: (K,) confidences summed over the correctly classified labeled images of each class.
        counts: (K,) number of these images; a class without any gets the minimum.
        epoch: from 1.
        beta: β.
        least: initial and smallest margin.
    """
    mean = confidence / counts.clamp_min(1)
    return (beta / (1 + math.exp(-epoch)) * mean).clamp_min(least)


def recognized(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Confidence of correctly classified labeled images, summed by class, and their counts: (K,) and (K,)."""
    confidence, guess = full(logits.detach()).softmax(dim=1).max(dim=1)
    right = guess == targets.argmax(dim=1)
    classes = F.one_hot(guess[right], logits.shape[1]).float()
    # not a matrix product: autocast would round the sum to bf16
    return (confidence[right, None] * classes).sum(dim=0), classes.sum(dim=0)


def sharpen(q: Tensor, temperature: float) -> Tensor:
    """q_k^{1/T} / Σ_j q_j^{1/T}: MixMatch, equation (7). (U, K) -> (U, K).

    >>> fertrain.losses.sharpen(torch.tensor([[0.75, 0.25]]), temperature=0.5)
    tensor([[0.9000, 0.1000]])
    """
    # a softmax of logarithms: powers of small probabilities underflow
    return torch.softmax(full(q).clamp_min(1e-12).log() / temperature, dim=1)


def align_distribution(q: Tensor, wanted: Tensor, found: Tensor) -> Tensor:
    """Normalize(q · p(y) / p̃(y)): ReMixMatch, section 3.1. Class frequencies of guesses match those of labels.

    Args:
        q: (U, K) guesses.
        wanted: (K,) p(y), share of each class among labels.
        found: (K,) p̃(y), mean of the guesses so far.

    >>> even = torch.tensor([0.5, 0.5])
    >>> fertrain.losses.align_distribution(torch.tensor([[0.8, 0.2]]), even, torch.tensor([0.8, 0.2]))
    tensor([[0.5000, 0.5000]])
    """
    scaled = q * wanted / found.clamp_min(1e-6)
    return scaled / scaled.sum(dim=1, keepdim=True)


def brier(logits: Tensor, q: Tensor) -> Tensor:
    """(1 / KU) Σ_b ‖q_b − p_b‖²: MixMatch, equation (4); bounded, so one wrong guess cannot dominate.

    >>> fertrain.losses.brier(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])).item()
    0.25
    """
    return (q.detach() - full(logits).softmax(dim=1)).pow(2).mean()


def cross_entropy(logits: Tensor, q: Tensor) -> Tensor:
    """(1/U) Σ_b H(q_b, p_b) with soft targets, which get no gradient."""
    return cel(logits, q.detach())


def ramp_up(step: int, over: int) -> float:
    """Linear ramp of a weight from 0 to 1 over the first `over` steps."""
    return 1.0 if over <= 0 else min(1.0, step / over)


def turned(x: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Rotate each image by 0 to 3 quarter turns: (U, C, S, S) -> rotated images, int64 (U,) quarter turns."""
    quarters = to_device(torch.randint(4, (len(x),), generator=generator), x.device)
    options = torch.stack([torch.rot90(x, k, dims=(2, 3)) for k in range(4)])
    return options[quarters, torch.arange(len(x), device=x.device)], quarters
