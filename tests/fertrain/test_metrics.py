import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support, recall_score
from sklearn.metrics import confusion_matrix as reference

from fertrain.evaluation.metrics import Scores, confusion_matrix, scores_from

pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)
LABELS = ("a", "b", "c", "d")


@given(pairs)
def test_everything_is_what_scikit_learn_says(given_pairs):
    truth, predicted = (np.array(column) for column in zip(*given_pairs, strict=True))
    scores = Scores(confusion_matrix(truth, predicted, 4), LABELS, "x:test", "given")
    np.testing.assert_array_equal(scores.confusion, reference(truth, predicted, labels=range(4)))
    assert scores.overall_accuracy == pytest.approx(accuracy_score(truth, predicted))
    present = sorted(set(truth.tolist()))
    assert scores.average_accuracy == pytest.approx(recall_score(truth, predicted, labels=present, average="macro"))
    p, r, f, n = precision_recall_fscore_support(truth, predicted, labels=range(4), zero_division=0)
    for k, name in enumerate(LABELS):
        mine = scores.per_class[name]
        assert (mine["precision"], mine["recall"], mine["f1"], mine["n"]) == pytest.approx((p[k], r[k], f[k], n[k]))


def test_every_printed_accuracy_names_rule_n_and_split():
    scores = Scores(np.array([[3, 1], [0, 4]]), ("sad", "happy"), "ferplus:valid", "majority")
    assert str(scores) == "87.50% overall, 87.50% average on ferplus:valid, rule majority, n = 8"
    assert scores_from(scores.to_json()).to_json() == scores.to_json()


def test_a_matrix_of_another_size_is_refused():
    with pytest.raises(ValueError, match="labels"):
        Scores(np.zeros((2, 2), dtype=np.int64), LABELS, "x", "given")
