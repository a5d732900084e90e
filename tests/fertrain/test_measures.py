"""Retrieval and purity: formulas against values worked out by hand, and laws."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from fertrain.analysis.pairs.purity import Chosen, chosen, purity
from fertrain.analysis.pairs.retrieval import average_precision, balanced, same_expression, same_person


def at(*degrees):
    """Unit vectors in the plane."""
    a = torch.tensor(degrees) * math.pi / 180
    return torch.stack([a.cos(), a.sin()], dim=1)


def test_average_precision_by_hand():
    # relevant at ranks 1 and 3: (1/1 + 2/3) / 2; at rank 2 alone: 1/2
    ranked = torch.tensor([[True, False, True], [False, True, False]])
    assert average_precision(ranked).tolist() == pytest.approx([(1 + 2 / 3) / 2, 0.5])


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 10_000)), min_size=2, max_size=12, unique_by=lambda v: v[1]))
def test_average_precision_is_what_scikit_learn_says(pairs):
    hit = np.array([h for h, _ in pairs])
    score = np.array([s for _, s in pairs])
    if hit.any():
        ours = average_precision(torch.tensor(hit[np.argsort(-score)])[None]).item()
        assert ours == pytest.approx(average_precision_score(hit, score))


def test_retrieval_by_hand():
    # persons A, A, B, B with expressions 0, 1, 0, 1
    features, expression, person = at(0.0, 40.0, 10.0, 35.0), np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    # A0 (0°) sees B0 at 10°, B1 at 35°: right. A1 (40°) sees B1 at 5°, B0 at 30°: right.
    # B0 (10°) sees A0 at 10°, A1 at 30°: right. B1 (35°) sees A1 at 5°: right.
    found = same_expression(features, expression, person)
    assert (found.recall_at_1, found.mean_ap, found.chance, found.queries) == (1.0, 1.0, 0.5, 4)
    # other expressions of A0 are A1 at 40° and B1 at 35°: B1 stands first, A1 second; and so for all four but B1:
    # B1 sees A0 at 35° and B0 at 25°: right; A1 sees A0 at 40°, B0 at 30°: wrong; B0 sees A1 at 30°, B1 at 25°: right
    who = same_person(features, expression, person)
    assert who.recall_at_1 == 0.5
    assert who.mean_ap == pytest.approx((0.5 + 0.5 + 1 + 1) / 4)


def test_a_face_without_a_possible_match_is_no_query():
    found = same_expression(at(0.0, 5.0, 50.0), np.array([0, 0, 1]), np.array([0, 1, 0]))
    assert found.queries == 2
    assert math.isnan(same_expression(at(0.0, 5.0), np.array([0, 1]), np.array([0, 1])).mean_ap)


@given(st.integers(0, 10_000))
def test_random_features_find_as_much_as_chance_has_it(seed):
    rng = np.random.default_rng(seed)
    n = 400
    features = torch.from_numpy(rng.normal(size=(n, 16)))
    found = same_expression(features, rng.integers(0, 4, n), rng.integers(0, 5, n))
    assert abs(found.recall_at_1 - found.chance) < 0.15
    assert found.chance == pytest.approx(0.25, abs=0.06)


def test_features_of_expression_alone_find_it_and_hide_the_person():
    rng = np.random.default_rng(0)
    expression, person = rng.integers(0, 3, 90), rng.integers(0, 3, 90)
    features = torch.from_numpy(np.eye(3)[expression] + rng.normal(size=(90, 3)) * 1e-3)
    assert same_expression(features, expression, person).mean_ap == pytest.approx(1)
    assert same_person(features, expression, person).recall_at_1 < 0.6


def test_samples_hold_each_person_and_expression_at_most_so_often():
    expression, person = np.array([0] * 50 + [1] * 3 + [0] * 7), np.array([0] * 53 + [1] * 7)
    rows = balanced(expression, person, 5, seed=1)
    assert np.bincount(person[rows] * 2 + expression[rows]).tolist() == [5, 3, 5]
    assert (np.diff(rows) > 0).all()


def test_purity_by_hand():
    expression = np.array([0, 0, 1, 0, 1, 1, 0, -1])
    video, person = np.zeros(8, np.int64), np.array([0, 1, 1, 1, 0, 0, 0, 1])
    found = purity([Chosen(0, np.array([1, 2, 3]), np.array([4, 5, 6]), np.array([2]), np.array([4]))],
                   expression, video, person)  # fmt: skip
    assert (found.p, found.p_imp) == (pytest.approx(2 / 3), 0.0)
    assert (found.n, found.n_imp) == (pytest.approx(2 / 3), 1.0)
    # others of the video: 0, 1, 0 (the fourth is not known); the person's own: 0, 1, 1, 0
    assert found.p_chance == pytest.approx(2 / 3)
    assert found.n_chance == pytest.approx(0.5)
    assert purity([Chosen(7, *[np.array([1])] * 4)], expression, video, person).anchors == 0


def test_refinement_keeps_the_most_alike_of_p_and_the_least_alike_of_n():
    z = at(0.0, 10.0, 80.0, 30.0, 20.0, 170.0, 90.0)
    c = chosen(z, 0, np.array([1, 2, 3]), np.array([4, 5, 6]), gamma=0.5)
    assert c.positives_imp.tolist() == [1, 3]
    assert c.negatives_imp.tolist() == [5, 6]
