"""Expressions over time: mean and spread over the people, their agreement, and the moments when it is strongest.

    A(t) = mean over pairs of ⟨x_a(t), x_b(t)⟩ = (|Σ_a x_a(t)|² − Σ_a |x_a(t)|²) / (n (n − 1))

x_a as in `synchrony`: so people agree when several leave their own usual expression in the same direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmset.parts.window import windowed_mean

from ..pairs.delays import signals
from .predictions import Predicted

Signal = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Timeline:
    """One video, step by step; T steps, K classes."""

    video_id: str
    frame: npt.NDArray[np.int64]
    """(T,) frame of each step."""
    time_ms: npt.NDArray[np.float64]
    """(T,), interpolated where no person is seen."""
    people: dict[int, Signal]
    """Centered signal of each person, (T, K)."""
    shown: dict[int, Signal]
    """Probabilities of each person, (T, K), NaN where unseen."""

    @property
    def seen(self) -> npt.NDArray[np.int64]:
        """(T,) people seen at each step."""
        return np.asarray(np.sum([~np.isnan(s[:, 0]) for s in self.people.values()], axis=0), dtype=np.int64)

    @property
    def mean(self) -> Signal:
        """(T, K) mean probabilities over the people; NaN where no person is seen."""
        total = np.nansum([*self.shown.values()], axis=0)
        seen = self.seen[:, None]
        return np.where(seen > 0, total / np.maximum(seen, 1), np.nan)

    @property
    def spread(self) -> Signal:
        """(T, K) standard deviation over the people."""
        mean, seen = self.mean, self.seen[:, None]
        squares = np.nansum([(s - mean) ** 2 for s in self.shown.values()], axis=0)
        return np.where(seen > 0, np.sqrt(squares / np.maximum(seen, 1)), np.nan)

    @property
    def agreement(self) -> Signal:
        """A(t), (T,); NaN with fewer than two people."""
        x = np.nan_to_num(np.stack([*self.people.values()]))
        n = self.seen.astype(np.float64)
        pairs = n * (n - 1)
        both = (x.sum(axis=0) ** 2).sum(axis=1) - (x**2).sum(axis=(0, 2))
        return np.where(pairs > 0, both / np.maximum(pairs, 1), np.nan)

    def smooth_agreement(self, steps: int) -> Signal:
        """A(t) averaged over a centered window of steps, (T,); NaN where A(t) is."""
        agreement = self.agreement
        known = np.isfinite(agreement)
        return np.where(known, windowed_mean(agreement, known, steps), np.nan)

    def rows(self, labels: tuple[str, ...]) -> list[dict[str, Any]]:
        """Rows of timeline.csv."""
        mean, spread, agreement, seen = self.mean, self.spread, self.agreement, self.seen
        return [
            {
                "video_id": self.video_id, "frame_idx": int(self.frame[t]), "time_ms": round(float(self.time_ms[t]), 3),
                "people": int(seen[t]), "agreement": plain(agreement[t]),
                **{f"mean_{name}": plain(mean[t, k]) for k, name in enumerate(labels)},
                **{f"spread_{name}": plain(spread[t, k]) for k, name in enumerate(labels)},
            }
            for t in range(len(self.frame))
        ]  # fmt: skip

    def people_rows(self, labels: tuple[str, ...]) -> list[dict[str, Any]]:
        """Rows of people.csv: each person's mean probabilities, entropy and most frequent expression."""
        rows = []
        for person, own in self.shown.items():
            known = own[~np.isnan(own[:, 0])]
            top = np.bincount(known.argmax(axis=1), minlength=len(labels))
            surprise = -(known * np.log(np.maximum(known, 1e-12))).sum(axis=1)
            rows.append({
                "video_id": self.video_id, "person_id": person, "faces": len(known),
                "expression": labels[int(top.argmax())],
                "share": plain(top.max() / len(known)), "entropy": plain(surprise.mean()),
                **{name: plain(known[:, k].mean()) for k, name in enumerate(labels)},
            })  # fmt: skip
        return rows


def timeline(video: Predicted, stride: int) -> Timeline:
    """Arrange the predictions of a video by step."""
    first = int(video.frame.min())
    step = (video.frame - first) // stride
    people = signals(video.probabilities, video.person, video.frame, stride)
    count = int(step.max()) + 1
    shown = {}
    for person in people:
        rows = video.person == person
        shown[person] = np.full((count, video.probabilities.shape[1]), np.nan)
        shown[person][step[rows]] = video.probabilities[rows]
    known, at = np.unique(step, return_index=True)
    time_ms = np.interp(np.arange(count), known, video.time_ms[at])
    return Timeline(video.video_id, first + stride * np.arange(count), time_ms, people, shown)


@dataclass(frozen=True)
class Moment:
    """A moment of strong agreement."""

    video_id: str
    frame: int
    time_ms: float
    agreement: float
    """A(t), averaged over the window."""
    people: int
    expression: str
    """Class whose mean over the people is farthest above its mean over the video."""
    mean: float
    """That mean probability."""

    def row(self) -> dict[str, Any]:
        """One row of moments.csv."""
        return {
            "video_id": self.video_id, "frame_idx": self.frame, "time_ms": round(self.time_ms, 3),
            "agreement": round(self.agreement, 6), "people": self.people, "expression": self.expression,
            "mean": round(self.mean, 6),
        }  # fmt: skip


def moments(found: list[Timeline], labels: tuple[str, ...], count: int, window_s: float) -> list[Moment]:
    """Return the moments of strongest agreement of all videos, strongest first, each twice a window apart."""
    candidates: list[tuple[float, int, int]] = []
    for number, line in enumerate(found):
        steps = window_steps(line, window_s)
        smooth = line.smooth_agreement(steps)
        for _ in range(count):
            if not np.isfinite(smooth).any():
                break
            best = int(np.nanargmax(smooth))
            if smooth[best] <= 0:
                break
            candidates.append((float(smooth[best]), number, best))
            smooth[max(0, best - 2 * steps) : best + 2 * steps + 1] = np.nan
    candidates.sort(key=lambda c: (-c[0], c[1], c[2]))
    return [_moment(found[number], step, value, labels) for value, number, step in candidates[:count]]


def _moment(line: Timeline, step: int, value: float, labels: tuple[str, ...]) -> Moment:
    mean = line.mean
    rise = mean[step] - np.nanmean(mean, axis=0)
    top = int(np.nanargmax(rise))
    return Moment(
        line.video_id, int(line.frame[step]), float(line.time_ms[step]), value, int(line.seen[step]), labels[top],
        float(mean[step, top]),
    )  # fmt: skip


def window_steps(line: Timeline, seconds: float) -> int:
    """Return the number of steps in a window, odd."""
    pace = float(np.median(np.diff(line.time_ms))) if len(line.time_ms) > 1 else 1.0
    return max(1, int(seconds * 1000 / max(pace, 1e-3)) // 2 * 2 + 1)


def plain(value: float) -> float | None:
    """Six digits; None for NaN."""
    return None if np.isnan(value) else round(float(value), 6)
