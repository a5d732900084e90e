"""The four FERPlus rules: counts on the released votes, the authors' algorithm, and laws."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fertrain.datasets.ferplus import FerPlus, read_votes
from fertrain.datasets.vote_rules import RULES, distribution, majority, multi

COUNTS = {
    "majority": (25060, 3199, 3153),
    "distribution": (27956, 3505, 3505),
    "multi": (27671, 3472, 3472),
    "argmax": (28389, 3553, 3546),
}
USAGES = ("Training", "PublicTest", "PrivateTest")
TABLE = Path(__file__).parent / "data" / "votes.csv.gz"

vote_tables = arrays(np.int64, st.tuples(st.integers(1, 20), st.just(10)), elements=st.integers(0, 10))


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_keeps_as_many_images_as_were_published(rule):
    with gzip.open(TABLE, "rt") as file:
        rows = list(csv.reader(file))
    usage = np.array([row[0] for row in rows])
    votes = np.array([[int(v) for v in row[1:11]] for row in rows])
    times = np.array([int(row[11]) for row in rows])
    kept = RULES[rule](votes).sum(axis=1) > 0
    assert tuple(int(times[kept & (usage == u)].sum()) for u in USAGES) == COUNTS[rule]


@pytest.mark.parametrize("rule", RULES)
def test_the_reduced_table_and_the_released_file_agree(rule, real_ferplus):
    table = read_votes(real_ferplus / "fer2013new.csv")
    kept = RULES[rule](table.votes).sum(axis=1) > 0
    assert tuple(int((kept & (table.splits == s)).sum()) for s in ("train", "valid", "test")) == COUNTS[rule]
    assert table.nameless == 173


def test_the_loader_finds_the_images_inside_a_zip(real_ferplus):
    data = FerPlus("ferplus", real_ferplus)
    assert data.splits() == ["train", "valid"]
    assert len(data.load("valid", "majority")) == 3199


def authors_distribution(raw):
    """Algorithm of the official tools, line by line."""
    raw = [0.0 if v < 1.0 + 1e-9 else float(v) for v in raw]
    total, emotion, part, count, valid = sum(raw), [0.0] * 10, 0.0, 0, True
    while part < 0.75 * total and count < 3 and valid:
        peak = max(raw)
        for i in range(10):
            if raw[i] == peak:
                emotion[i], raw[i] = peak, 0
                part += emotion[i]
                count += 1
                if i >= 8:
                    valid = False
                    if sum(emotion) > peak:
                        emotion[i] = 0
                        count -= 1
                    break
    dropped = sum(emotion) <= 0.5 * total or count > 3 or total == 0 or int(np.argmax(emotion)) >= 8
    return np.zeros(8) if dropped else np.array(emotion[:8]) / sum(emotion[:8])


@given(vote_tables)
def test_distribution_is_the_walk_of_the_official_tools(votes):
    np.testing.assert_allclose(distribution(votes), [authors_distribution(row) for row in votes])


@pytest.mark.parametrize("rule", RULES)
@given(votes=vote_tables)
def test_a_target_sums_to_one_or_the_image_is_dropped(rule, votes):
    sums = RULES[rule](votes).sum(axis=1)
    assert (np.isclose(sums, 1) | (sums == 0)).all()


@pytest.mark.parametrize("rule", RULES)
@given(votes=vote_tables)
def test_each_row_is_judged_alone(rule, votes):
    whole = RULES[rule](votes)
    np.testing.assert_array_equal(whole[::-1], RULES[rule](votes[::-1]))
    np.testing.assert_array_equal(whole[:1], RULES[rule](votes[:1]))


def test_by_hand():
    #              ne ha su sa an di fe co un nf
    row = np.array([[5, 0, 0, 3, 1, 1, 0, 0, 0, 0]])
    # singles go: 5 + 3 of 8. Majority: 5 > 4. Distribution and multi: 5/8 and 3/8.
    assert majority(row)[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert distribution(row)[0].tolist() == [0.625, 0, 0, 0.375, 0, 0, 0, 0]
    assert multi(row)[0].tolist() == [0.625, 0, 0, 0.375, 0, 0, 0, 0]
    unknown_first = np.array([[2, 0, 0, 0, 0, 0, 0, 0, 8, 0]])
    assert all(not rule(unknown_first).any() for rule in RULES.values())
