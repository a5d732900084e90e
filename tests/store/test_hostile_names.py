"""Results of a root do not depend on the names of folders above it, or on the place of its shards."""

import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmset.read.catalog import Catalog
from rmset.read.crops import CropStore
from rmset.read.pairindex import Quality, taking_part
from rmset.root import Root

from .worlds import crop_root

COUNTS = "select video_id, count(*) n, count(distinct source) sources from faces group by 1 order by 1"
CROPS = "select video_id, count(*) n from crops group by 1 order by 1"
HOSTILE = [
    "my [1] root", "my 1 root", "source=youtube", "part=2", "segment=all", "video_id=x", "person_id=7", "a*b", "a?b",
    "**", "[a-z]", "it's", 'quo"te', "semi;colon", "--", "{1,2}", "new\nline", "tab\t", "back\\slash", "%20", "$HOME",
    "~", "#", "http:", "s3:", "file:x", "é ü", "名前", "🎬", " lead", "trail ", "crops", "tracks", "part-000.parquet",
]  # fmt: skip


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A root with two videos; three people, five frames."""
    return crop_root(tmp_path_factory.mktemp("plain") / "root", frames=5)


def answers(root):
    catalog = Catalog(root)
    store = CropStore(root)
    rows = taking_part(store, Quality(min_sharpness=0.0))
    positives = catalog.sql("select count(*) n from positives('a', 0, 2, d := 2)").rows()
    return catalog.sql(COUNTS).rows(), catalog.sql(CROPS).rows(), positives, rows.tolist()


@pytest.fixture(scope="module")
def expected(source):
    return answers(source)


# Names that a file system takes; `/` parts folders, NUL ends a name.
NAMES = st.text(st.characters(blacklist_characters="/\x00", blacklist_categories=("Cs",)), min_size=1, max_size=40)


@pytest.mark.slow
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.sampled_from(HOSTILE), NAMES), min_size=1, max_size=3))
def test_a_root_below_folders_of_any_name_answers_the_same(source, expected, tmp_path, names):
    if any(name in (".", "..") or len(name.encode()) > 200 for name in names):
        return
    folder = tmp_path.joinpath("x", *names)
    shutil.rmtree(tmp_path / "x", ignore_errors=True)
    folder.parent.mkdir(parents=True)
    shutil.copytree(source.path, folder)
    assert answers(Root(folder)) == expected


@pytest.mark.parametrize(
    "name", [*HOSTILE[::2], *(pytest.param(name, marks=pytest.mark.slow) for name in HOSTILE[1::2])]
)
def test_each_hostile_name_alone(source, expected, tmp_path, name):
    shutil.copytree(source.path, tmp_path / name)
    assert answers(Root(tmp_path / name)) == expected


def test_roots_whose_names_match_each_other_as_globs_stay_apart(source, tmp_path):
    shutil.copytree(source.path, tmp_path / "my [1] root")
    shutil.copytree(source.path, tmp_path / "my 1 root")
    shutil.rmtree(tmp_path / "my 1 root" / "crops" / "b")
    (tmp_path / "my 1 root" / "tracks" / "b.parquet").unlink()
    assert answers(Root(tmp_path / "my [1] root")) == answers(source)
    assert [r["video_id"] for r in answers(Root(tmp_path / "my 1 root"))[0]] == ["a"]


def test_shards_on_another_disk_are_shown_under_their_own_video(source, tmp_path):
    shutil.copytree(source.path, tmp_path / "root")
    (tmp_path / "other disk").mkdir()
    shutil.move(tmp_path / "root" / "crops" / "b", tmp_path / "other disk" / "renamed")
    (tmp_path / "root" / "crops" / "b").symlink_to(tmp_path / "other disk" / "renamed")
    assert answers(Root(tmp_path / "root")) == answers(source)


def test_a_root_that_is_reached_through_a_link_answers_too(source, tmp_path):
    (tmp_path / "link").symlink_to(source.path.parent)
    assert answers(Root(tmp_path / "link" / source.path.name)) == answers(source)


def test_a_relative_root_answers_too(source, tmp_path, monkeypatch):
    monkeypatch.chdir(source.path.parent)
    assert answers(Root("root")) == answers(source)
