"""Delays between people: known shifts are recovered, and formulas agree with values by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fertrain.analysis.pairs.delays import (
    PairLag,
    accuracy,
    correlations,
    differences,
    pair_lags,
    peak,
    person_delays,
    signals,
)


def test_a_peak_by_hand():
    assert peak(np.array([0.1, 0.5, 1.0, 0.5, 0.1])) == (0.0, 1.0)
    # the parabola through (0, 0.8), (1, 1), (2, 0.9) has its top at 1 + (0.8 − 0.9) / (2 · −0.3)
    lag, height = peak(np.array([0.0, 0.8, 1.0, 0.9, 0.0]))
    assert lag == pytest.approx(0.1 / 0.6)
    assert height == 1.0
    assert peak(np.array([0.2, 0.1, 0.0]))[0] == -1
    assert math.isnan(peak(np.array([np.nan] * 3))[0])


def test_a_correlation_by_hand():
    # b shows at step 3 what a shows at step 1; one class
    a, b = np.array([[0.0], [2.0], [0.0], [0.0], [0.0]]), np.array([[0.0], [0.0], [0.0], [3.0], [0.0]])
    found = correlations(a, b, max_lag=2, least=1)
    assert found[4] == pytest.approx(1.0)
    # at the other lags one is still where the other moves; at some the moving step lies outside, and nothing is left
    assert np.nan_to_num(found[:4]).tolist() == [0, 0, 0, 0]
    assert np.isnan(correlations(a, b, 2, least=4)[4])


def test_a_video_shorter_than_the_longest_lag_has_the_lags_that_fit_into_it():
    a = np.array([[1.0], [-1.0], [0.0]])
    found = correlations(a, a, max_lag=5, least=1)
    assert len(found) == 11
    assert found[5] == pytest.approx(1.0)
    assert np.isnan(found[[0, 1, 2, 8, 9, 10]]).all()


def crowd(seed, delays, steps=200, missing=0.0, noise=0.05):
    """Probabilities of people who show the same sequence of three expressions, each with a delay."""
    rng = np.random.default_rng(seed)
    course = np.repeat(rng.integers(0, 3, steps // 5), 5)
    rows = []
    for p, d in enumerate(delays):
        for t in range(steps):
            if rng.random() >= missing:
                shown = np.eye(3)[course[min(max(t - d, 0), len(course) - 1)]]
                rows.append((p, t, shown * (1 - noise) + rng.random(3) * noise))
    return (np.array([r[i] for r in rows]) for i in (2, 0, 1))


@given(st.integers(0, 500), st.lists(st.integers(0, 9), min_size=2, max_size=5))
def test_delays_are_found_again(seed, delays):
    probabilities, person, frame = crowd(seed, delays, missing=0.2)
    people = signals(probabilities, person, frame * 3, stride=3)
    found = person_delays(pair_lags(people, max_lag=12), sorted(people))
    for estimate, truth in differences(found, dict(enumerate(map(float, delays)))):
        assert estimate == pytest.approx(truth, abs=0.6)
    assert sum(p.delay for p in found) == pytest.approx(0, abs=1e-6)


def test_a_pair_that_contradicts_all_others_is_outvoted():
    lags = {(0, 1): 2.0, (0, 2): 4.0, (0, 3): 6.0, (1, 2): 2.0, (1, 3): 4.0, (2, 3): -15.0}
    pairs = [PairLag(a, b, lag, 0.6) for (a, b), lag in lags.items()]
    found = [p.delay for p in person_delays(pairs, [0, 1, 2, 3])]
    assert np.diff(found) == pytest.approx([2, 2, 2], abs=0.15)


def test_a_person_without_co_reacting_people_has_no_delay():
    pairs = [PairLag(0, 1, 3.0, 0.8), PairLag(0, 2, 7.0, 0.05), PairLag(1, 2, float("nan"), float("nan"))]
    found = {p.person: p for p in person_delays(pairs, [0, 1, 2])}
    assert (found[0].delay, found[1].delay) == (pytest.approx(-1.5), pytest.approx(1.5))
    assert found[2].delay is None
    assert found[2].correlation == 0.05
    assert person_delays([], [4])[0].delay is None


def test_groups_without_a_common_clock_are_not_put_on_one():
    pairs = [PairLag(0, 1, 1.0, 0.9), PairLag(1, 2, 1.0, 0.9), PairLag(3, 4, 1.0, 0.9)]
    assert [p.delay is None for p in person_delays(pairs, [0, 1, 2, 3, 4])] == [False, False, False, True, True]


def test_accuracy_by_hand():
    found = accuracy([(2.0, 3.0), (-1.0, -4.0)])
    assert (found.pairs, found.mean_error, found.within_one, found.mean_without) == (2, 2.0, 0.5, 3.5)
    assert math.isnan(accuracy([]).mean_error)
