"""Assignment of boxes to people: one to one and optimal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from rmset.errors import UsageError
from rmset.layout_record import Person
from rmset.parts.assign import match, tracker
from rmset.parts.detect import Detections

PEOPLE = [Person(0, (0, 0, 100, 100)), Person(1, (200, 0, 300, 100))]


def faces(*boxes):
    n = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.full(n, 0.95, np.float32), np.zeros((n, 5, 2), np.float32)
    )


def test_assignment_is_optimal_not_greedy():
    # Greedy takes 0.9 and leaves the second person without a face.
    assert match(np.array([[0.9, 0.8], [0.8, 0.0]], np.float32), 0.1).tolist() == [1, 0]


@given(st.integers(0, 4), st.integers(0, 4), st.randoms())
def test_no_box_has_two_people_and_no_pair_overlaps_less_than_allowed(people, boxes, random):
    overlap = np.array([[random.random() for _ in range(boxes)] for _ in range(people)], np.float32).reshape(
        people, boxes
    )
    rows = match(overlap, 0.3)
    taken = rows[rows >= 0]
    assert len(set(taken.tolist())) == len(taken)
    assert all(overlap[p, r] >= 0.3 for p, r in enumerate(rows) if r >= 0)


@pytest.mark.parametrize("name", ["reference", "previous"])
def test_faces_are_named_whatever_order_they_come_in(name):
    assert tracker(name, PEOPLE, 0.1).assign(faces((205, 0, 305, 100), (5, 0, 105, 100))).tolist() == [1, 0]


def test_a_moving_face_keeps_its_id_by_the_last_box_and_loses_it_by_the_reference_box():
    wandering = [faces((x, 0, x + 100, 100)) for x in range(0, 150, 30)]
    by_reference, by_previous = tracker("reference", PEOPLE[:1], 0.1), tracker("previous", PEOPLE[:1], 0.1)
    assert [int(by_previous.assign(f)[0]) for f in wandering] == [0, 0, 0, 0, 0]
    assert [int(by_reference.assign(f)[0]) for f in wandering] == [0, 0, 0, -1, -1]


def test_a_newcomer_gets_no_id():
    assert tracker("previous", PEOPLE[:1], 0.1).assign(faces((500, 0, 600, 100))).tolist() == [-1]


def test_bytetrack_names_people_by_where_they_begin():
    pytest.importorskip("trackers", reason="needs the extra `bytetrack`")
    by_track = tracker("bytetrack", PEOPLE, 0.1)
    for shift in range(0, 60, 5):
        rows = by_track.assign(faces((200 - shift, 0, 300 - shift, 100), (shift, 0, 100 + shift, 100)))
    assert rows.tolist() == [1, 0]


def test_an_unknown_way_of_assigning_names_the_known_ones():
    with pytest.raises(UsageError, match="reference, previous, bytetrack"):
        tracker("guess", PEOPLE, 0.1)


@given(st.integers(1, 4), st.integers(1, 4), st.randoms())
def test_a_match_without_rivals_is_the_optimal_one(people, boxes, random):
    # Few pairs, so that most draws have no two people who want one box: they are matched without an optimizer.
    overlap = np.array(
        [[random.random() if random.random() < 0.3 else 0 for _ in range(boxes)] for _ in range(people)], np.float32
    )
    permitted = np.where(overlap >= 0.1, overlap, 0)
    rows, columns = linear_sum_assignment(permitted, maximize=True)
    kept = permitted[rows, columns] > 0
    wanted = np.full(people, -1)
    wanted[rows[kept]] = columns[kept]
    assert match(overlap, 0.1).tolist() == wanted.tolist()
