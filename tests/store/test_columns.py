"""Columns that lie in several places are read like the array of all their values."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmset.read.columns import Aliased, Dense, Numbers, OwnOrPlace, Parted

LENGTHS = st.lists(st.integers(0, 5), min_size=1, max_size=6)


@st.composite
def scattered(draw):
    """A column of some parts in any order with gaps, and the array that it stands for."""
    lengths = draw(LENGTHS)
    first = np.cumsum([0, *lengths])
    kind = draw(st.sampled_from(["parted", "added", "own", "numbers", "aliased", "dense"]))
    values = [np.arange(n, dtype=np.int32) * 3 + 100 * v for v, n in enumerate(lengths)]
    store, start = [np.full(3, -1, np.int32)], np.zeros(len(lengths), np.int64)
    for v in draw(st.permutations(range(len(lengths)))):
        start[v] = sum(map(len, store))
        store += [values[v], np.full(draw(st.integers(0, 2)), -1, np.int32)]
    whole, flat = np.concatenate(store), np.concatenate(values)
    numbers = np.repeat(np.arange(len(lengths)), lengths)
    if kind == "added":
        add = np.arange(len(lengths)) * 7
        return Parted(whole, start, first, add), flat + add[numbers]
    if kind == "own":
        own = np.array([draw(st.booleans()) for _ in lengths])
        return OwnOrPlace(whole, start, first, own), np.where(own[numbers], flat, np.arange(len(flat)) - first[numbers])
    if kind == "numbers":
        return Numbers(first), numbers
    parted = Parted(whole, start, first)
    if kind == "aliased":
        aliases = {len(lengths) - 1: {100 * (len(lengths) - 1) + 3: 7, 5: 6}}
        last = (numbers == len(lengths) - 1) & (flat == 100 * numbers + 3)
        return Aliased(parted, Numbers(first), aliases), np.where(last, 7, flat)
    return (Dense(flat), flat) if kind == "dense" else (parted, flat)


@given(scattered(), st.data())
def test_a_column_is_read_like_its_array(made, data):
    column, array = made
    assert len(column) == len(array) == column.size
    assert np.array_equal(np.asarray(column), array)
    assert np.asarray(column).dtype == column.dtype
    assert column.tolist() == array.tolist() == list(column)
    if len(array):
        rows = np.array(data.draw(st.lists(st.integers(-len(array), len(array) - 1), max_size=8)), np.int64)
        assert np.array_equal(column[rows], array[rows])
        assert column[int(rows[0]) if len(rows) else 0] == array[int(rows[0]) if len(rows) else 0]
        assert np.array_equal(column[rows.reshape(-1, 1)], array[rows.reshape(-1, 1)])
    low, high, step = (data.draw(st.integers(-9, 9)) for _ in range(3))
    assert np.array_equal(column[low : high : step or None], array[low : high : step or None])
    mask = array % 2 == 0
    assert np.array_equal(column[mask], array[mask])
    assert np.array_equal(column == 3, array == 3)
    assert np.array_equal(column - column, np.zeros(len(array)))
    assert np.array_equal(np.unique(column), np.unique(array))
    assert (3 in column) == (3 in array)
    assert np.array_equal(pickle.loads(pickle.dumps(column)), array)


def test_a_row_that_is_not_there():
    column = Parted(np.arange(9), np.array([4, 0]), np.array([0, 2, 5]))
    for wrong in (5, -6, [0, 5], np.array([-6])):
        with pytest.raises(IndexError, match="below 5"):
            column[wrong]


def test_a_part_is_no_copy():
    whole = np.arange(9)
    assert np.shares_memory(Parted(whole, np.array([4, 0]), np.array([0, 2, 5])).part(1), whole)


def test_long_parts_are_read_like_short_ones():
    values, first = np.arange(300, dtype=np.int32), np.array([0, 100, 200])
    assert np.array_equal(np.asarray(Parted(values, np.array([150, 0]), first)), np.r_[150:250, 0:100])
    placed = OwnOrPlace(values, np.array([150, 0]), first, np.array([True, False]))
    assert np.array_equal(np.asarray(placed), np.r_[150:250, 0:100])
