"""Temperature scaling (Guo et al., 2017): one number that makes confidence match accuracy, without changing a class.

    q = softmax(z / T)        T = argmin −Σ log q_y over the held-out images
    z = log p + a constant, so probabilities p serve as well as logits

NLL = −mean log q_y. It is convex in 1 / T, so a bounded search finds the minimum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .metrics import reliability

LOWEST, HIGHEST = 0.05, 20.0
"""Bounds of T; on images that are all right, or all wrong, the minimum has none."""
_LEAST = 1e-300

Probabilities = npt.NDArray[np.float64]


def tempered(probabilities: Probabilities, temperature: float) -> Probabilities:
    """softmax(log p / T): (N, K) -> (N, K), rows sum to 1.

    >>> tempered(np.array([[0.8, 0.2]]), 2.0).round(3).tolist()
    [[0.667, 0.333]]
    """
    if temperature == 1.0:
        return probabilities
    z = np.log(np.maximum(probabilities, _LEAST)) / temperature
    q = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(q / q.sum(axis=1, keepdims=True))


def nll(probabilities: Probabilities, truth: npt.NDArray[np.int64]) -> float:
    """Mean of −log p of the true class, in nats: (N, K), (N,)."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], _LEAST)).mean())


def fit_temperature(probabilities: Probabilities, truth: npt.NDArray[np.int64]) -> float:
    """Temperature of least NLL, within `LOWEST` and `HIGHEST`, to four digits; 1 without images.

    Args:
        probabilities: (N, K) of images that the network did not learn from.
        truth: (N,) true classes.
    """
    from scipy.optimize import minimize_scalar

    if not len(truth):
        return 1.0
    found = minimize_scalar(
        lambda log_t: nll(tempered(probabilities, float(np.exp(log_t))), truth),
        bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded", options={"xatol": 1e-5},
    )  # fmt: skip
    # never worse than before, also where rounding decides
    value = round(float(np.exp(found.x)), 4)
    return value if nll(tempered(probabilities, value), truth) < nll(probabilities, truth) else 1.0


def before_and_after(
    probabilities: Probabilities, truth: npt.NDArray[np.int64], temperature: float
) -> dict[str, float | int]:
    """NLL and expected calibration error of some images, as predicted and with the temperature."""
    if not len(truth):
        return {"n": 0}
    scaled = tempered(probabilities, temperature)
    return {
        "n": len(truth),
        "nll_before": nll(probabilities, truth),
        "nll_after": nll(scaled, truth),
        "ece_before": reliability(probabilities, truth).ece,
        "ece_after": reliability(scaled, truth).ece,
    }


def calibration(
    held: Probabilities, held_truth: npt.NDArray[np.int64], reported: Probabilities,
    reported_truth: npt.NDArray[np.int64], *, fitted_on: str,
) -> dict[str, Any]:  # fmt: skip
    """Fit a temperature on held-out images; the result as metrics.json holds it.

    Args:
        held: (N, K) probabilities of the held-out images.
        held_truth: (N,).
        reported: (M, K) probabilities of the reported images, which played no part in the fit.
        reported_truth: (M,).
        fitted_on: the held-out images, in words.
    """
    value = fit_temperature(held, held_truth)
    return {
        "value": value,
        "fitted_on": fitted_on,
        "held_out": before_and_after(held, held_truth, value),
        "reported": before_and_after(reported, reported_truth, value),
    }
