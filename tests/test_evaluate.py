"""Scores agree with trackeval, and with small cases computed by hand."""

import numpy as np
import pytest

from rmset.errors import RmsetError
from rmset.geometry import as_boxes
from rmset.inspect import evaluate, mot
from rmset.inspect.evaluate import mask
from rmset.inspect.scores import Boxed, count, together, tracks
from rmset.layout_record import Layout, Person, Segment, TriggerRegion
from rmset.truth import Truth, TruthSegment

HERE, THERE = (0, 0, 10, 10), (100, 0, 110, 10)


def boxed(*rows):
    """Rows (frame, name, box), in any order."""
    rows = sorted(rows, key=lambda r: r[0])
    return Boxed(
        np.array([r[0] for r in rows], int), np.array([r[1] for r in rows], int), as_boxes([r[2] for r in rows])
    )


NONE = boxed()


def two_people(frames=10, swap=False):
    rows = []
    for frame in range(frames):
        a, b = (1, 0) if swap and frame >= frames // 2 else (0, 1)
        rows += [(frame, a, HERE), (frame, b, THERE)]
    return boxed(*rows)


def test_the_truth_itself_scores_1():
    scores = tracks(two_people(), two_people(), NONE)
    assert (scores.hota, scores.idf1, scores.mota, scores.id_switches) == (1, 1, 1, 0)


def test_a_swap_half_way_keeps_the_boxes_and_loses_half_of_the_names():
    scores = tracks(two_people(), two_people(swap=True), NONE)
    assert scores.recall == 1
    assert scores.deta == 1
    assert scores.id_switches == 2
    assert scores.idf1 == pytest.approx(0.5)
    assert scores.assa == pytest.approx(1 / 3)  # 5 of 10 + 10 - 5 frames in common
    assert scores.hota == pytest.approx(np.sqrt(1 / 3))


def test_half_of_the_faces_missed_is_recall_one_half():
    found = boxed(*[(f, 0, HERE) for f in range(10)])
    scores = tracks(two_people(), found, NONE)
    assert (scores.recall, scores.precision) == (0.5, 1.0)


def test_a_face_that_is_cut_may_be_found_or_not():
    truth = boxed(*[(f, 0, HERE) for f in range(4)])
    cut = boxed(*[(f, 1, THERE) for f in range(4)])
    both = tracks(truth, two_people(4), cut)
    assert (both.precision, both.recall, both.ignored_boxes) == (1, 1, 4)
    assert tracks(truth, truth, cut).precision == 1


def test_nothing_found_is_no_crash():
    assert tracks(two_people(), NONE, NONE).recall == 0


def truth(*regions):
    panels = {0: (0.0, 0.0, 50.0, 50.0), 1: (0.0, 50.0, 50.0, 100.0)}
    return Truth(30, (100, 100), (TruthSegment(0, 10, regions, panels),), ())


def layout(region, *people):
    named = tuple(Person(i, b) for i, b in enumerate(people))
    return Layout("v", (100, 100), (Segment(0, 10, 0, (TriggerRegion(region),), named),))


def test_a_region_over_half_of_the_film_has_half_its_iou():
    scores = mask(truth((50, 0, 100, 100)), layout((50, 0, 100, 50), (10, 10, 20, 20), (10, 60, 20, 70)), NONE)
    assert scores.trigger_iou == pytest.approx(0.5)
    assert (scores.panels_masked, scores.people_missed) == (0, 0)


def test_masking_a_person_and_missing_one_are_counted():
    scores = mask(truth((50, 0, 100, 100)), layout((0, 0, 50, 50), (10, 60, 20, 70)), NONE)
    assert (scores.panels_masked, scores.people_missed) == (1, 1)


def test_a_box_in_the_film_is_counted():
    found = boxed((3, 0, (60, 10, 80, 30)), (3, 1, (10, 10, 20, 20)))
    assert mask(truth((50, 0, 100, 100)), layout((50, 0, 100, 100)), found).boxes_in_trigger == 1


def test_two_videos_together_are_their_sums_and_not_their_means():
    found, half = two_people(10), boxed(*[(f, 0, HERE) for f in range(30)])
    all_of_it = together([count(two_people(10), found, NONE), count(two_people(30), half, NONE)]).scores
    assert all_of_it.recall == pytest.approx((20 + 30) / (20 + 60))
    assert (all_of_it.truth_boxes, all_of_it.boxes) == (80, 50)
    alone = together([count(two_people(10), found, NONE)]).scores
    assert alone == tracks(two_people(10), found, NONE)


def test_motchallenge_files_keep_what_was_written(tmp_path):
    must, may = two_people(4), boxed((1, 7, (3, 4, 8.5, 12)))
    path = mot.write_truth(tmp_path, "v", must, may, 4, (200, 100))
    assert path.read_text().splitlines()[2] == "2,1,0.000,0.000,10.000,10.000,1,1,1"
    again, may_again = mot.read_truth(path)
    for wanted, found in ((must, again), (may, may_again)):
        np.testing.assert_array_equal(found.frame, wanted.frame)
        np.testing.assert_array_equal(found.name, wanted.name)
        np.testing.assert_allclose(found.boxes, wanted.boxes)


def test_trackeval_reads_our_motchallenge_files_and_counts_the_same(tmp_path):
    import trackeval

    truth, found = two_people(), two_people(swap=True)
    mot.write_truth(tmp_path, "v", truth, NONE, 10, (200, 100))
    mot.write_tracks(tmp_path, "v", found)
    data = trackeval.datasets.MotChallenge2DBox(
        {
            "GT_FOLDER": str(tmp_path / "gt"), "TRACKERS_FOLDER": str(tmp_path / "trackers"),
            "SEQ_INFO": {"v": None}, "SKIP_SPLIT_FOL": True, "DO_PREPROC": False, "PRINT_CONFIG": False,
        }
    )  # fmt: skip
    sequence = data.get_preprocessed_seq_data(data.get_raw_seq_data(mot.TRACKER, "v"), "pedestrian")
    theirs = trackeval.metrics.HOTA().eval_sequence(sequence)
    assert np.mean(theirs["HOTA"]) == pytest.approx(tracks(truth, found, NONE).hota)


@pytest.mark.parametrize("text", ["1,1,0,0,10\n", "0,1,0,0,10,10,1\n", "1,1,0,0,-3,10,1\n", "a,b\n"])
def test_what_is_no_motchallenge_table_is_refused_with_its_line(tmp_path, text):
    path = tmp_path / "gt.txt"
    path.write_text(text)
    with pytest.raises(RmsetError, match="MOTChallenge file"):
        mot.read_tracks(path)


def test_a_guess_at_the_rest_of_a_cut_face_is_neither_right_nor_wrong():
    shown, guess = (0.0, 60.0, 80.0, 100.0), (0.0, 0.0, 80.0, 100.0)
    nothing = Boxed.of(np.array([], int), np.array([], int), np.empty((0, 4)))
    ignored = Boxed.of(np.array([0]), np.array([0]), np.array([shown]))
    face = Boxed.of(np.array([1]), np.array([1]), np.array([guess]))
    found = Boxed.of(np.array([0, 1]), np.array([0, 1]), np.array([guess, guess]))
    assert tracks(face, found, ignored).precision == 1.0
    assert tracks(face, found, nothing).precision == 0.5


@pytest.mark.parametrize(("box", "share"), [((12, 12, 20, 20), 0), ((-5, 0, 5, 10), 1), ((0, 0, 0, 9), 0)])
def test_a_box_beside_the_frame_has_a_share_too(box, share):
    assert evaluate._share_painted(np.ones((10, 10), bool), box) == share
