"""Reactions over time: synchrony against shuffled time lines, moments, predictions in the root."""

import csv
import json
import shutil
from itertools import combinations

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from typer.testing import CliRunner

import fertrain
import rmset
from fertrain.analysis.pairs.delays import signals
from fertrain.analysis.reactions import predictions as writing
from fertrain.analysis.reactions.predictions import Predicted
from fertrain.analysis.reactions.report import ReactionConfig, reactions
from fertrain.analysis.reactions.synchrony import circular, synchrony, together
from fertrain.analysis.reactions.timeline import moments, timeline
from fertrain.errors import FertrainError
from fertrain.models.factory import build
from fertrain.models.weights import save
from fertrain.transforms.input_spec import InputSpec
from rmset import removal
from rmset.errors import UsageError
from rmset.inspect.absence import absence
from rmset.parts.window import windowed_mean
from rmset.read.catalog import Catalog
from rmset.read.predictions import made_from, predictions_schema
from rmset.root import Root
from rmset.synth.expressions import EXPRESSIONS
from rmset.synth.minds import gather
from rmset.synth.world import WorldConfig, write_world
from rmset_cli.fertrain.app import app

LABELS = tuple(EXPRESSIONS)


def reference(people, offsets, least=10):
    """Mean correlation of pairs, in a loop: each time line rolled by its offset."""
    found = []
    for a, b in combinations(sorted(people), 2):
        x, y = (np.roll(people[p], offsets[p], axis=0) for p in (a, b))
        both = ~np.isnan(x[:, 0]) & ~np.isnan(y[:, 0])
        if both.sum() >= least:
            found.append((x[both] * y[both]).sum() / np.sqrt((x[both] ** 2).sum() * (y[both] ** 2).sum()))
    return np.mean(found)


def crowd(seed=0, people=4, steps=60, classes=3, gaps=True):
    rng = np.random.default_rng(seed)
    found = {p: rng.dirichlet(np.ones(classes), steps) for p in range(people)}
    if gaps:
        found[1][5:20] = np.nan
    return {p: s - np.nanmean(s, axis=0) for p, s in found.items()}


def test_synchrony_and_every_shuffle_equal_a_loop_over_rolled_time_lines():
    people = crowd()
    found = synchrony(people, ("a", "b", "c"), shuffles=20, seed=5)
    assert [s.of for s in found] == ["all classes", "a", "b", "c"]
    shifts = np.random.default_rng([5, 33]).integers(0, 60, (20, 4))
    for k, one in enumerate(found):
        own = people if k == 0 else {p: s[:, k - 1 : k] for p, s in people.items()}
        assert one.observed == pytest.approx(reference(own, [0] * 4))
        np.testing.assert_allclose(one.null, [reference(own, row) for row in shifts], atol=1e-9)


def test_synchrony_by_hand():
    # three steps up and three down; the other person is later by one step
    a = np.array([1.0, 1, 1, -1, -1, -1])[:, None]
    c = circular(a, np.roll(a, 1, axis=0), least=1)
    np.testing.assert_allclose(c, [1 / 3, 1, 1 / 3, -1 / 3, -1, -1 / 3], atol=1e-12)
    assert np.isnan(circular(a, a, least=7)).all()
    assert np.isnan(circular(a, np.zeros_like(a), least=1)).all()


def test_equal_people_are_above_the_null_and_the_p_value_counts_it():
    own = crowd(gaps=False, steps=200)[0]
    (found, *_) = synchrony({0: own, 1: own, 2: own}, ("a", "b", "c"), shuffles=99, seed=0)
    assert found.observed == pytest.approx(1)
    assert (found.null < 0.5).all()
    assert found.p == pytest.approx(1 / 100)
    (alone, *_) = synchrony({0: own}, ("a", "b", "c"), shuffles=9, seed=0)
    assert (alone.pairs, alone.row()["synchrony"], alone.row()["p"]) == (0, None, None)
    both = together([[found], [alone]])[0]
    assert (both.people, both.pairs, both.observed) == (4, 3, found.observed)


def course(story, people, frames):
    """Signals of a perfect run: the true expression of every person and frame."""
    shown = np.array([[LABELS.index(story.label_at(p, f)) for f in range(frames)] for p in range(people)])
    person, frame = np.repeat(np.arange(people), frames), np.tile(np.arange(frames), people)
    return signals(np.eye(len(LABELS))[shown.reshape(-1)], person, frame, 1)


@pytest.mark.parametrize(("noise", "agree"), [(0.1, True), (1.0, False)])
def test_people_who_follow_the_film_are_above_chance_and_those_of_noise_are_not(noise, agree):
    """Crowds as `rmset world` draws them, 30 s at 5 frames per second."""
    measured = [
        synchrony(
            course(gather(np.random.default_rng([k, 1]), 4, 150, 5, max_delay=2, noise=noise), 4, 150), LABELS,
            shuffles=200, seed=k,
        )
        for k in range(3)
    ]  # fmt: skip
    whole = together(measured)[0]
    if agree:
        assert whole.p == pytest.approx(1 / 201)
        assert whole.observed > whole.null.max() > 0
    else:
        assert whole.p > 0.05
        assert whole.observed < np.quantile(whole.null, 0.95)


def told(root):
    """What a perfect run would predict: the true expression of every face of a world."""
    found = []
    for key in root.files.keys("truth/*.truth.json"):
        faces = json.loads(root.files.local(key).read_text())["faces"]
        shown = np.array([LABELS.index(f["expression"] or "neutral") for f in faces])
        person, frame = (np.array([f[k] for f in faces]) for k in ("person", "frame"))
        found.append(signals(np.eye(len(LABELS))[shown], person, frame, 1))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "agree"), [(0.1, True), (1.0, False)])
def test_a_world_in_which_people_agree_is_above_chance_and_one_of_noise_is_not(tmp_path, noise, agree):
    config = WorldConfig(videos=1, people=4, seconds=30, fps=5, max_delay=0.4, noise=noise, size=24, seed=2)
    root = write_world(tmp_path / "w", config, labeled=None)
    whole = together([synchrony(people, LABELS, shuffles=200, seed=0) for people in told(root)])[0]
    if agree:
        assert whole.p == pytest.approx(1 / 201)
        assert whole.observed > whole.null.max() > 0
    else:
        assert whole.p > 0.05
        assert whole.observed < np.quantile(whole.null, 0.95)


def test_the_strongest_moment_is_where_all_leave_their_usual_face_together():
    rng = np.random.default_rng(0)
    steps, people = 100, 3
    p = np.full((people, steps, 2), 0.5)
    p[..., 0] += rng.normal(0, 0.02, (people, steps))
    p[:, 40:45, 0] = 0.95
    p[..., 1] = 1 - p[..., 0]
    person = np.repeat(np.arange(people), steps)
    frame = np.tile(2 * np.arange(steps), people)
    video = Predicted("v", person, frame, frame * 20.0, p.reshape(-1, 2), np.arange(people * steps))
    line = timeline(video, 2)
    (first, *rest) = moments([line], ("happy", "neutral"), 3, window_s=0.2)
    assert (first.frame, first.expression, first.people) == (84, "happy", 3)
    assert first.mean == pytest.approx(0.95)
    assert all(abs(m.frame - 84) > 2 * 2 * 5 for m in rest)
    # by hand: two people at +0.4 and −0.2 of two classes each, 2 · 0.4 · −0.2
    pair = timeline(Predicted("v", np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.zeros(4),
                              np.array([[0.9, 0.1], [0.1, 0.9], [0.3, 0.7], [0.7, 0.3]]), np.arange(4)), 1)  # fmt: skip
    np.testing.assert_allclose(pair.agreement, [2 * 0.4 * -0.2] * 2)
    np.testing.assert_allclose(pair.mean[0], [0.6, 0.4])
    np.testing.assert_allclose(pair.spread[0], [0.3, 0.3])
    series = np.array([0.0, 3, np.nan, 6])
    np.testing.assert_allclose(windowed_mean(series, np.isfinite(series), 3), [1.5, 1.5, 4.5, 6])


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """An untrained network as a run: what matters here is where its predictions go."""
    folder = tmp_path_factory.mktemp("runs") / "first.run"
    folder.mkdir()
    torch.manual_seed(0)
    spec = InputSpec(32, 1, (0.5,), (0.25,), gray=True)
    save(build("deep-emotion", 3, 32), ("calm", "my class", "x"), spec, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    config = WorldConfig(videos=2, people=3, seconds=3, fps=4, max_delay=0.4, noise=0.1, size=24, seed=0)
    return write_world(tmp_path_factory.mktemp("world") / "w", config, labeled=None)


@pytest.fixture
def root(world, tmp_path):
    shutil.copytree(world.path, tmp_path / "root")
    return Root(tmp_path / "root")


@pytest.fixture
def ids(root):
    return root.video_ids()


def rows(root, query):
    return Catalog(root).sql(query).rows()


def test_reactions_write_tables_pictures_and_a_page_and_the_root_gets_the_predictions(root, ids, run_folder, tmp_path):
    out = tmp_path / "out"
    words = ["reactions", str(run_folder), "--root", str(root.path), "-o", str(out), "--shuffles", "20"]
    result = CliRunner().invoke(app, [*words, "--moments", "2", "--window", "0.3", "--format", "json"])
    assert result.exit_code == 0, result.output
    assert {row["video_id"] for row in json.loads(result.stdout)} == {"all", *ids}
    found = rows(root, "select run, video_id, count(*) as n, min(calm + \"my class\" + x) as least from predictions "
                       "group by all order by all")  # fmt: skip
    crops = rows(root, "select video_id, count(*) as n from crops group by all order by all")
    assert [(r["run"], r["video_id"], r["n"]) for r in found] == [("first.run", c["video_id"], c["n"]) for c in crops]
    assert found[0]["least"] == pytest.approx(1, abs=1e-5)
    for name in ("synchrony", "people", "timeline", "moments"):
        table = pq.read_table(out / f"{name}.parquet")
        with (out / f"{name}.csv").open() as file:
            lines = list(csv.DictReader(file))
        assert table.num_rows == len(lines)
        assert list(lines[0]) == table.column_names
    assert pq.read_table(out / "people.parquet").num_rows == 6
    page = (out / "reactions.html").read_text()
    assert page.count("data:image/png;base64,") == len(lines) + 2
    assert "http" not in page
    assert (out / "moment-1.png").stat().st_size > 1000
    # the same probabilities as by `extract`, so the same crops in the same order
    seen = fertrain.load_run(run_folder).extract(root)
    keys = rows(root, "select video_id, person_id, frame_idx from crops")
    store = rmset.open(root).crops()
    mine = {(r["video_id"], r["person_id"], r["frame_idx"]): r["calm"] for r in rows(root, "select * from predictions")}
    assert len(keys) == len(mine)
    for k in (0, 7, len(store) - 1):
        crop = store[k]
        assert mine[crop.video_id, crop.person_id, crop.frame_idx] == pytest.approx(
            float(seen.probabilities[k, 0]), abs=1e-6
        )


@pytest.mark.slow
def test_the_same_call_gives_the_same_bytes_and_predicts_nothing_again(root, ids, run_folder, tmp_path, monkeypatch):
    config = ReactionConfig(shuffles=10, moments=1)
    first = reactions(run_folder, root, tmp_path / "a", config)
    monkeypatch.setattr(writing, "extract", None)
    reactions(run_folder, root, tmp_path / "b", config)
    for path in first.files:
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_removed_faces_have_no_predictions(root, ids, run_folder, tmp_path):
    config = ReactionConfig(shuffles=5, moments=0)
    reactions(run_folder, root, tmp_path / "out", config)
    removal.remove_person(root, ids[0], 1, "asked")
    left = rows(root, "select distinct person_id from predictions where video_id = '" + ids[0] + "' order by 1")
    assert [r["person_id"] for r in left] == [0, 2]
    assert list(absence(root)) == []
    # it still counts as that of the present crops
    key = root.predictions_key("first.run", ids[0])
    assert made_from(root.files.local(key))["export"] == root.export_hash(ids[0])
    again = reactions(run_folder, root, tmp_path / "again", config)
    assert [(r["video_id"], r["person_id"]) for r in again.people][:2] == [(ids[0], 0), (ids[0], 2)]
    removal.remove_video(root, ids[1], "asked")
    assert rows(root, "select distinct video_id from predictions") == [{"video_id": ids[0]}]
    assert root.files.keys(f"predictions/*/{ids[1]}.parquet") == []


def test_predictions_of_removed_faces_that_come_back_are_found(root, ids, run_folder, tmp_path):
    reactions(run_folder, root, tmp_path / "out", ReactionConfig(shuffles=5, moments=0))
    path = root.files.local(root.predictions_key("first.run", ids[0]))
    before = path.read_bytes()
    removal.remove_person(root, ids[0], 1, "asked")
    path.write_bytes(before)
    (finding,) = absence(root)
    assert "12 predictions of removed faces" in finding.problem
    # of another export: whose faces they are cannot be told
    table = pq.read_table(path)
    stale = {**made_from(path), "export": "another"}
    pq.write_table(table.cast(predictions_schema(("calm", "my class", "x"), stale)), path)
    removal.remove_person(root, ids[0], 2, "asked")
    assert not path.exists()
    (path.parent / f".{path.name}.partial").write_bytes(before)
    assert {f.key for f in absence(root)} == {f"predictions/first.run/.{ids[0]}.parquet.partial"}
    removal.finish(root)
    assert list(absence(root)) == []


@pytest.mark.slow
def test_runs_of_other_classes_stand_in_one_table_and_damaged_files_are_left_out(root, ids, run_folder, tmp_path):
    reactions(run_folder, root, tmp_path / "out", ReactionConfig(shuffles=5, moments=0), name="a")
    other = tmp_path / "b"
    other.mkdir()
    save(
        build("deep-emotion", 2, 32),
        ("calm", "y"),
        InputSpec(32, 1, (0.5,), (0.25,), gray=True),
        other / "model.safetensors",
    )
    reactions(other, root, tmp_path / "out", ReactionConfig(shuffles=5, moments=0))
    found = rows(
        root, "select run, count(*) as n, count(x) as x, count(y) as y from predictions group by all order by 1"
    )
    assert found == [{"run": "a", "n": 72, "x": 72, "y": 0}, {"run": "b", "n": 72, "x": 0, "y": 72}]
    root.files.local(root.predictions_key("a", ids[0])).write_bytes(b"PAR1")
    catalog = Catalog(root)
    assert catalog.sql("select count(*) as n from predictions where run = 'a'").rows() == [{"n": 36}]
    assert "predictions are left out" in catalog.left_out[0]


def test_names_that_cannot_be_folders_and_classes_that_are_keys_are_one_line(root, ids, run_folder, tmp_path):
    with pytest.raises(UsageError, match="a name of letters, digits"):
        reactions(run_folder, root, tmp_path / "out", name="../x")
    with pytest.raises(UsageError, match="found frame_idx"):
        predictions_schema(("calm", "Frame_idx"), {})
    with pytest.raises(UsageError, match="`shuffles` 1 or more"):
        ReactionConfig(shuffles=0)


def test_crops_that_change_while_they_are_predicted_are_refused(root, ids, run_folder, tmp_path, monkeypatch):
    real = Root.export_hash
    seen = []

    def changing(self, video_id):
        seen.append(video_id)
        return real(self, video_id) if len(seen) < 3 else "another"

    monkeypatch.setattr(Root, "export_hash", changing)
    with pytest.raises(FertrainError, match=r"expected the crops of .* as they were"):
        reactions(run_folder, root, tmp_path / "out", ReactionConfig(shuffles=5))
