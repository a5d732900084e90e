"""The index grows by a block per video, in any order, and gives what one built at once gives."""

import json
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmset.errors import RootError
from rmset.read import growing, index, pairindex
from rmset.read.arrange import PairRule
from rmset.read.blocks import LIST, damaged, load
from rmset.read.crops import CropStore
from rmset.read.index import FOLDER
from rmset.read.pairindex import Quality, open_sampler
from rmset.read.persons import Persons, Row, write_persons
from rmset.root import Root

from .test_pairs import QUALITIES, RULES, laid_out
from .worlds import crop_root, crop_row, write_crops

RULE = PairRule(d=2, d_far=5)


def video(video_id, seed, people=3, frames=9):
    """Rows of one video, with gaps and uneven quality; another seed is another export."""
    rng = np.random.default_rng(seed)
    rows = []
    for frame in range(frames):
        for person in range(people):
            if rng.random() < 0.8:
                level = int(rng.integers(0, 10))
                quality = {"sharpness": float(level), "brightness": level / 10, "yaw": level / 10 - 0.5}
                row = crop_row(video_id, person, frame, segment=int(frame >= 5), data=b"x" * (seed + 1), **quality)
                rows.append(row | {"padding": level / 20})
    return rows


def put(root, video_id, seed):
    """Write one video, or replace it."""
    rows = video(video_id, seed)
    write_crops(root, rows)
    laid_out(root, rows)


def seen(root, rule=RULE, quality=None):
    """Everything that readers get of an index: rows, anchors, candidates and draws of a seed."""
    store = CropStore(root)
    sampler = open_sampler(store, rule, quality, max_candidates=3)
    rows = np.arange(len(store))
    drawn = sampler.draw_many(rows, np.random.default_rng(5))
    every = [(sampler.positives(row).tolist(), sampler.negatives(row).tolist()) for row in rows.tolist()]
    columns = {name: np.asarray(values).tolist() for name, values in store.index.arrays.items()}
    return columns, sampler.anchors.tolist(), every, [(p.tolist(), n.tolist()) for p, n in drawn]


STEPS = st.lists(
    st.tuples(st.sampled_from(["a", "a-b", "b", "c"]), st.one_of(st.none(), st.integers(0, 3)), st.booleans()),
    min_size=1, max_size=7,
)  # fmt: skip


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS, RULES, QUALITIES, st.booleans())
def test_an_index_that_grew_is_that_built_at_once(tmp_path_factory, monkeypatch, steps, rule, quality, linked):
    """Additions, replacements and removals in any order, looked at in between or not, with or without compaction."""
    root, videos = Root(tmp_path_factory.mktemp("grown") / "root"), {}
    monkeypatch.setattr(growing, "_SLACK", 0)
    monkeypatch.setattr(growing, "_COMMIT", 200)
    for video_id, seed, look in steps:
        if seed is None:
            videos.pop(video_id, None)
            for key in (root.crops_key(video_id), root.record_key(video_id), root.layout_key(video_id)):
                root.files.remove(key)
        else:
            videos[video_id] = seed
            put(root, video_id, seed)
        if look and videos:
            seen(root, rule, quality)
    if not videos:
        return
    if linked:
        write_persons(root, Persons.of([Row("p", "a", 0, 0.7, "linked"), Row("p", "a", 2, 0.7, "linked")]))
    grown = seen(root, rule, quality)
    assert damaged(root) == []
    root.files.remove(FOLDER)
    assert seen(root, rule, quality) == grown


def test_one_more_video_is_all_that_is_read_and_sorted(tmp_path, monkeypatch):
    root = Root(tmp_path / "root")
    for number in range(3):
        put(root, f"v-{number}", number)
    made = {"rows_of": [], "arrange_video": []}
    rows_of, arrange_video = index.rows_of, pairindex.arrange_video
    monkeypatch.setattr(index, "rows_of", lambda r, v, s: made["rows_of"].append(v) or rows_of(r, v, s))
    monkeypatch.setattr(
        pairindex,
        "arrange_video",
        lambda k, r, v, rows: made["arrange_video"].append(v) or arrange_video(k, r, v, rows),
    )
    seen(root, RULE, Quality(0.5))
    assert sorted(made["rows_of"]) == ["v-0", "v-1", "v-2"]
    (file,) = root.files.keys(f"{FOLDER}/crops-*/*.bin")
    before = root.files.local(file).read_bytes()
    for calls in made.values():
        calls.clear()
    put(root, "v-1b", 7)
    seen(root, RULE, Quality(0.5))
    assert made == {"rows_of": ["v-1b"], "arrange_video": [2]}
    assert root.files.keys(f"{FOLDER}/crops-*/*.bin") == [file]
    assert root.files.local(file).read_bytes().startswith(before)
    for calls in made.values():
        calls.clear()
    root.files.remove("crops/v-1b")
    seen(root, RULE, Quality(0.5))
    assert made == {"rows_of": [], "arrange_video": []}


def test_what_is_open_stays_as_it_was_while_the_index_changes(tmp_path, monkeypatch):
    root = Root(tmp_path / "root")
    monkeypatch.setattr(growing, "_SLACK", 0)
    for video_id in ("a", "b"):
        put(root, video_id, 1)
    store = CropStore(root)
    data, frames = pickle.dumps(store), store.keys.frame.tolist()
    put(root, "c", 2)
    late = CropStore(root)
    late_sizes = late.index.arrays["location"]["size"].tolist()
    assert pickle.loads(data).keys.frame.tolist() == frames, "what was appended changes no earlier row"
    for seed in range(3, 9):
        put(root, "c", seed)
        CropStore(root)
        assert store.keys.frame.tolist() == frames
        assert late.index.arrays["location"]["size"].tolist() == late_sizes, "an old block is never written over"
    size = sum(root.files.stamp(key).bytes for key in root.files.keys(f"{FOLDER}/crops-*/*.bin"))
    kept = load(root, "crops-blocks")
    assert size == kept.end <= 2 * kept.bytes.sum() + max(kept.bytes), "old blocks are at most half of the file"
    with pytest.raises(RootError, match="open it again"):
        pickle.loads(data)


def test_an_index_of_an_earlier_version_is_made_again_and_goes(tmp_path, capfd):
    root = crop_root(tmp_path / "root", frames=6)
    expected = seen(root)
    root.files.remove(FOLDER)
    for name in ("crops-0123456789abcdef", "pairs-0123456789abcdef"):
        with root.files.publish_folder(f"{FOLDER}/{name}") as folder:
            np.save(folder / "frame.npy", np.zeros(3, np.int32))
            about = {"frame": {"dtype": "<i4", "length": 3, "sha256": "0" * 64}}
            (folder / "arrays.json").write_text(json.dumps(about))
    assert seen(root) == expected
    assert [key.split("/")[2][:12] for key in root.files.keys(f"{FOLDER}/*")] == ["crops-blocks", expected_pairs(root)]
    assert capfd.readouterr() == ("", "")


def expected_pairs(root):
    (key,) = root.files.keys(f"{FOLDER}/pairs-*")
    return key.split("/")[2][:12]


def test_changed_bytes_are_found_and_a_damaged_list_is_made_again(tmp_path):
    root = crop_root(tmp_path / "root", frames=6)
    expected = seen(root)
    (file,), (told,) = (root.files.keys(f"{FOLDER}/crops-*/{end}") for end in ("*.bin", LIST))
    with root.files.extend(file) as stream:
        stream.seek(8)
        stream.write(b"\xff")
    assert damaged(root) == [file]
    root.files.remove(file)
    assert damaged(root) == [told.rpartition("/")[0]]
    assert seen(root) == expected
    text = root.files.read_text(told)
    root.write_text(told, text.replace('"end":', '"end": '))
    assert damaged(root) == [told.rpartition("/")[0]]
    assert seen(root) == expected
    assert damaged(root) == []


@pytest.mark.parametrize("place", ["folder", "file"])
def test_nothing_is_written_through_a_link(tmp_path, place):
    root = crop_root(tmp_path / "root", frames=6, videos=("a",))
    expected = seen(root)
    (key,) = root.files.keys(f"{FOLDER}/crops-*/*.bin")
    key = key if place == "file" else key.rpartition("/")[0]
    away = tmp_path / "elsewhere"
    root.files.local(key).rename(away)
    root.files.local(key).symlink_to(away)
    before = {p: p.read_bytes() for p in ([away] if place == "file" else away.iterdir())}
    assert seen(root) == expected
    write_crops(root, video("b", 1))
    assert len(CropStore(root)) > len(expected[0]["frame"])
    assert {p: p.read_bytes() for p in before} == before


def test_a_full_disk_leaves_the_earlier_index(tmp_path, monkeypatch):
    root = Root(tmp_path / "root")
    put(root, "a", 1)
    seen(root)
    put(root, "b", 2)

    def full(_):
        raise OSError(28, "no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(growing.os, "fsync", full)
        in_memory = seen(root)
        assert CropStore(root).index.folder is None
    assert load(root, "crops-blocks").ids == ["a"]
    assert damaged(root) == []
    assert seen(root) == in_memory
    assert CropStore(root).index.folder is not None


# Stops at one moment of an addition: as its bytes are written, on the disk but not listed, listed under another name.
STOPPED = """
import os, sys, time
from pathlib import Path
from rmset import outputs
from rmset.read import growing
from rmset.read.crops import CropStore
from rmset.read.pairindex import open_sampler
from rmset.read.arrange import PairRule
from rmset.root import Root
moment, countdown = sys.argv[2], [int(sys.argv[3])]

def stop(*_, **__):
    countdown[0] -= 1
    if countdown[0] < 0:
        print("there", flush=True)
        time.sleep(600)

def before(owner, name):
    real = getattr(owner, name)
    setattr(owner, name, lambda *a, **k: (stop(), real(*a, **k))[1])

growing._COMMIT = 200
if moment == "appended":
    before(growing._Writer, "_commit")
elif moment == "synced":
    before(growing.Blocks, "to_text")
elif moment == "syncing":
    before(os, "fsync")
else:
    real = Path.replace
    Path.replace = lambda self, to: (Path(to).name == "blocks.txt" and stop(), real(self, to))[1]
open_sampler(CropStore(Root(sys.argv[1])), PairRule(d=2, d_far=5))
print("done", flush=True)
"""


@pytest.mark.parametrize("moment", ["appended", "synced", "renaming"])
@pytest.mark.parametrize("countdown", [0, 3])
def test_a_killed_addition_leaves_the_earlier_index_whole(tmp_path, moment, countdown):
    root = Root(tmp_path / "root")
    put(root, "b", 1)
    seen(root)
    (told,) = root.files.keys(f"{FOLDER}/crops-*/{LIST}")
    before = load(root, "crops-blocks")
    bytes_before, ids = np.array(before.data), before.ids
    for video_id in ("a", "c", "d"):
        put(root, video_id, 2)
    command = [sys.executable, "-c", STOPPED, str(root.path), moment, str(countdown)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "there\n"
        process.send_signal(signal.SIGKILL)
    now = load(root, "crops-blocks")
    assert set(ids) <= set(now.ids) <= {"a", "b", "c", "d"}
    assert np.array_equal(now.data[: len(bytes_before)], bytes_before)
    assert damaged(root) == []
    assert root.files.exists(told)
    grown = seen(root)
    assert set(load(root, "crops-blocks").ids) == {"a", "b", "c", "d"}
    root.files.remove(FOLDER)
    assert seen(root) == grown


@pytest.mark.parametrize("countdown", [0, 1, 3])
def test_a_killed_first_index_leaves_nothing_behind_once_another_is_made(tmp_path, countdown):
    root = Root(tmp_path / "root")
    put(root, "a", 1)
    command = [sys.executable, "-c", STOPPED, str(root.path), "syncing", str(countdown)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "there\n"
        process.send_signal(signal.SIGKILL)
    seen(root)
    for folder in (root.path / FOLDER).iterdir():
        names = sorted(path.name for path in folder.iterdir())
        assert names == sorted([LIST, f"{load(root, folder.name).token}.bin"])


@pytest.mark.slow
def test_two_processes_at_once_give_the_same(tmp_path):
    root = Root(tmp_path / "root")
    for number in range(6):
        put(root, f"v-{number}", number)
    code = STOPPED.replace("stop()", "0")
    command = [sys.executable, "-c", code, str(root.path), "appended", "9999"]
    several = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0] for process in several] == ["done\n", "done\n"]
    grown = seen(root)
    assert damaged(root) == []
    root.files.remove(FOLDER)
    assert seen(root) == grown


def test_a_file_of_the_index_is_private_and_of_the_group_if_the_root_is(tmp_path):
    root = crop_root(tmp_path / "root", frames=4)
    CropStore(root)
    modes = {oct(root.files.local(key).stat().st_mode & 0o777) for key in root.files.keys(f"{FOLDER}/crops-*/*")}
    assert modes == {"0o600"}
