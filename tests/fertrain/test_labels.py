import pytest
from hypothesis import given
from hypothesis import strategies as st

from fertrain.errors import LabelError
from fertrain.labels import ORDERS, canonical, order_of, order_of_set, permutation


@given(st.permutations(ORDERS["ferplus"].classes), st.permutations(ORDERS["ferplus"].classes))
def test_a_permutation_puts_every_class_where_the_target_has_it(source, target):
    assert [source[k] for k in permutation(source, target)] == list(target)


def test_fer2013_to_ferplus_order_by_hand():
    # fer2013: 0 anger, 1 disgust, 2 fear, 3 happiness, 4 sadness, 5 surprise, 6 neutral
    assert permutation(ORDERS["fer2013"].classes, ["neutral", "happy", "angry"]) == [6, 3, 0]


def test_eight_classes_become_seven_by_name_and_never_the_other_way():
    assert permutation(ORDERS["affectnet8"].classes, ORDERS["affectnet7"].classes) == [0, 1, 2, 3, 4, 5, 6]
    with pytest.raises(LabelError, match="contempt"):
        permutation(ORDERS["affectnet7"].classes, ORDERS["affectnet8"].classes)


def test_a_set_of_classes_that_no_known_order_has_is_refused():
    with pytest.raises(LabelError, match="--classes"):
        order_of_set(frozenset({"bored", "happy"}))


def test_folders_may_use_the_fields_other_words():
    assert canonical(" Happy ") == "happiness"
    assert (
        order_of_set(frozenset({"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"})).name == "fer2013"
    )


def test_a_list_of_classes_is_taken_in_its_own_sequence():
    assert order_of(["smile", "frown"]).classes == ("smile", "frown")
    assert order_of(ORDERS["rafdb"].classes).name == "rafdb"


def test_a_class_may_not_stand_twice():
    with pytest.raises(LabelError, match="once"):
        order_of(["happy", "joy"])
