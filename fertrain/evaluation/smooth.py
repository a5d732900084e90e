"""Averages of each person's probabilities over neighboring frames.

q_i = mean of p_j over the same person's faces with |t_j − t_i| ≤ seconds / 2
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .predict import Prediction


def smoothed(predictions: list[Prediction], seconds: float) -> list[Prediction]:
    """Average the predictions of one video, in the same order; faces of no person stay as they are.

    Args:
        predictions: of one video, by frame.
        seconds: length of the window, which is centered.
    """
    result = list(predictions)
    people: dict[int, list[int]] = {}
    for k, p in enumerate(predictions):
        if p.person is not None:
            people.setdefault(p.person, []).append(k)
    for rows in people.values():
        time = np.array([predictions[k].frame.time_ms for k in rows])
        shares = np.array([predictions[k].probabilities for k in rows])
        total = np.concatenate([np.zeros((1, shares.shape[1])), shares.cumsum(axis=0)])
        half = seconds * 500 + 1e-6
        low, high = np.searchsorted(time, time - half), np.searchsorted(time, time + half, side="right")
        mean = (total[high] - total[low]) / (high - low)[:, None]
        for k, row in zip(rows, mean.tolist(), strict=True):
            result[k] = replace(predictions[k], probabilities=tuple(row), smoothed_s=seconds)
    return result
