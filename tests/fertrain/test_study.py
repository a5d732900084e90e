"""Calibration, divergence, taggers, comparisons: formulas by hand and laws."""

import math

import fer_worlds
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fertrain.analysis.annotators import agreement as taggers_agreement
from fertrain.analysis.annotators import dispute, one_against_nine, study
from fertrain.analysis.compare.page import write
from fertrain.analysis.compare.significance import Group, paired, table, welch
from fertrain.config.recipes import names, parse, recipe
from fertrain.errors import UnknownNameError
from fertrain.evaluation.metrics import agreement, cross_entropy, entropy, jensen_shannon, kl, reliability
from rmset.errors import UsageError

shares = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(lambda v: np.array([v]) / sum(v))


def test_calibration_by_hand():
    # two sure answers of 0.9, one right; one of 0.6, right: 2/3·|0.5 − 0.9| + 1/3·|1 − 0.6|
    found = reliability(np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]]), np.array([0, 1, 1]), bins=10)
    assert found.ece == pytest.approx(2 / 3 * 0.4 + 1 / 3 * 0.4)
    assert found.counts.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 2, 0]
    assert reliability(np.zeros((0, 2)), np.zeros(0, dtype=np.int64)).ece == 0


@given(shares, shares)
def test_divergences_are_what_scipy_says(p, q):
    assert kl(p, q)[0] == pytest.approx(stats.entropy(p[0], q[0]), abs=1e-9)
    assert cross_entropy(p, q)[0] == pytest.approx(entropy(p)[0] + kl(p, q)[0])
    js = jensen_shannon(p, q)[0]
    assert js == pytest.approx(jensen_shannon(q, p)[0], abs=1e-12)
    assert -1e-12 <= js <= math.log(2) + 1e-9
    assert agreement(p, p)["kl"] == pytest.approx(0, abs=1e-12)


accuracies = st.lists(st.integers(0, 1000).map(lambda v: v / 1000), min_size=3, max_size=6)


@given(accuracies, accuracies)
def test_t_tests_are_what_scipy_says(a, b):
    if np.var(a) + np.var(b) > 1e-7:
        ours, theirs = welch(a, b), stats.ttest_ind(b, a, equal_var=False)
        assert (ours.t, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-6)
    n = min(len(a), len(b))
    if np.std(np.subtract(b[:n], a[:n])) > 1e-5:
        ours, theirs = paired(a[:n], b[:n]), stats.ttest_rel(b[:n], a[:n])
        assert (ours.t, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-6)


@given(st.floats(0.05, 0.9), st.floats(0.001, 0.05), st.integers(2, 6))
def test_runs_without_variance_give_no_p_value(mean, gain, n):
    """Rounding makes 0.1 + 0.2 differ from 0.3, which is no variance."""
    spread = np.linspace(0, 0.03, n)
    assert math.isnan(paired(mean + spread, mean + spread + gain).p)
    assert math.isnan(welch([mean] * n, [mean + gain] * n).p)
    assert math.isnan(welch([0.1] * 3, [0.2] * 3).p)


def test_the_papers_t_of_pld_over_mv():
    """83.852 ± 0.631 and 84.986 ± 0.366 over five runs: t about 3.1 to 3.5, whichever deviation is printed."""
    t = (84.986 - 83.852) / math.sqrt((0.631**2 + 0.366**2) / 5)
    unit = np.array([-1, -1, 0, 1, 1.0])
    unit /= unit.std(ddof=1)
    assert welch(83.852 + 0.631 * unit, 84.986 + 0.366 * unit).t == pytest.approx(t)


def test_groups_are_compared_over_common_seeds_and_the_same_images_only(tmp_path):
    mv = Group("mv", {0: 0.80, 1: 0.82, 2: 0.81}, "ferplus:valid, majority, n = 3,199")
    cel = Group("cel", {0: 0.83, 1: 0.84, 3: 0.90}, "ferplus:valid, majority, n = 3,199")
    rows = table([mv, cel])
    assert rows[0]["mean"] == pytest.approx(0.81)
    assert rows[0]["welch_t"] is None
    assert rows[1]["pairs"] == 2
    assert rows[1]["paired_t"] == pytest.approx(0.025 / (0.01 / math.sqrt(2) / math.sqrt(2)))
    write([mv, cel], rows, "overall_accuracy", tmp_path / "x.html")
    assert "Welch" in (tmp_path / "x.html").read_text()
    with pytest.raises(UsageError, match="same images"):
        table([mv, Group("other", {0: 0.8}, "ferplus:valid, argmax, n = 3,553")])


VOTES = np.array([[10, 0, 0, 0, 0, 0, 0, 0, 0, 0], [6, 4, 0, 0, 0, 0, 0, 0, 0, 0], [5, 5, 0, 0, 0, 0, 0, 0, 0, 0]])


def test_agreement_grows_with_taggers_and_all_ten_agree_with_themselves():
    found = [taggers_agreement(VOTES, k, draws=400) for k in (1, 3, 10)]
    assert [a.images for a in found] == [2, 2, 2]  # five against five has no plurality
    # one of ten agrees with 6 : 4 in 0.6 of the draws, and always with 10 : 0
    assert found[0].agreement == pytest.approx(0.8, abs=0.03)
    # three of 6 : 4: at least two of the six, (C(6,2)·4 + C(6,3)) / C(10,3) = 80 / 120
    assert found[1].agreement == pytest.approx((1 + 80 / 120) / 2, abs=0.03)
    assert found[2].agreement == 1
    assert found[1].published == 0.46
    assert taggers_agreement(VOTES, 3, draws=5) == taggers_agreement(VOTES, 3, draws=5)


def test_the_human_baseline_is_exact():
    # 10 : 0 always agrees; 6 : 4 less one of the six leaves 5 : 4, less one of the four 6 : 3; 5 : 5 leaves 4 : 5
    assert one_against_nine(VOTES[:2]) == (pytest.approx((1 + 0.6) / 2), 2)
    assert one_against_nine(VOTES[2:]) == (0.0, 1)


def test_dispute_is_entropy_in_bits():
    assert dispute(VOTES)[[0, 2]].tolist() == [0, 1]


def test_the_study_writes_plot_ranking_and_sheet(ferplus, tmp_path):
    found = study(f"ferplus:{ferplus}", tmp_path / "votes", draws=2, disputed=6)
    assert [p.name for p in found.files] == ["agreement.png", "dispute.csv", "most_disputed.png"]
    ranked = (tmp_path / "votes" / "dispute.csv").read_text().splitlines()
    bits = [float(line.split(",")[2]) for line in ranked[1:]]
    assert bits == sorted(bits, reverse=True)


def test_an_unreadable_image_costs_the_sheet_a_tile_and_the_study_nothing(tmp_path):
    root = fer_worlds.ferplus(tmp_path / "votes", train=16, valid=0)
    for k in (3, 8):  # the ninth row is a tie of three: the most disputed
        (root / "FER2013Train" / f"fer{k:07d}.png").write_bytes(b"no picture")
    whole = study(f"ferplus:{root}", tmp_path / "out", draws=2, disputed=16)
    assert len(whole.agreements) == 10
    assert whole.files[-1].is_file()
    assert whole.unreadable == 2
    assert study(f"ferplus:{root}", tmp_path / "out", draws=2, disputed=1).unreadable == 1


def test_the_study_needs_votes(faces, tmp_path):
    with pytest.raises(UsageError, match="with votes"):
        study(f"folder:{faces}", tmp_path)


@pytest.mark.parametrize("name", names())
def test_every_recipe_names_its_paper_command_score_and_time(name):
    found = recipe(name)
    assert all([found.paper, found.command, found.expects, found.time])
    assert f"--recipe {name}" in found.command


def test_recipes_can_be_files_and_say_what_they_lack(tmp_path):
    with pytest.raises(UnknownNameError):
        recipe("ferplus-vgg14")
    with pytest.raises(UsageError, match="none at"):
        recipe(str(tmp_path / "x.toml"))
    with pytest.raises(UsageError, match="no paper"):
        parse("seed = 3", "x")
    with pytest.raises(UsageError, match="TOML"):
        parse("seed = ", "x")


ABOUT = 'paper = "p"\ncommand = "c"\nexpects = "e"\ntime = "t"\n'


def test_a_recipe_says_what_it_sets_and_nothing_else():
    found = parse(ABOUT + "seed = 3\n[optim]\nepochs = [1]\nlr = 1\n[measured.train]\nlearnt_from = 70\n", "own.toml")
    assert (found.config.seed, found.config.optim.epochs, found.config.optim.lr) == (3, (1,), 1)
    for text, says in (
        ("[optim]\nepoch = [1]", "unknown setting in own.toml: 'optim.epoch': did you mean optim.epochs"),
        ('[modell]\nname = "vgg13"', "unknown setting in own.toml: 'modell': did you mean model"),
        ("[optim]\nepochs = 1", r"expected tuple\[int, ...\] for optim.epochs in own.toml, found 1"),
        ('[optim]\nlr = "fast"', "expected float for optim.lr in own.toml, found 'fast'"),
    ):
        with pytest.raises(UsageError, match=says):
            parse(ABOUT + text, "own.toml")
