"""Shared fixtures: the folder of real clips, and a small mashup that is composed once."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer.testing
from hypothesis import settings

from rmset.layout_record import Layout, Person, Segment, TriggerRegion
from rmset.root import Root
from rmset.truth import Truth


def pytest_configure() -> None:
    """Prepare the process, which the tests' children inherit from."""
    # Reading the signatures of all commands takes longer than most of them, and gives the same each time.
    typer.testing._get_command = functools.cache(typer.testing._get_command)
    # A slow machine is no failure.
    settings.register_profile("unhurried", deadline=None)
    settings.load_profile("unhurried")
    # A job in a shell's background ignores Ctrl-C, which tests send to their children.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # The workers of pytest-xdist share the cores; threads of torch in each would wait for one another.
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real clips and votes; tests that need it are skipped without it."""
    folder = os.environ.get("RMSET_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs the real clips and votes: set RMSET_TEST_DATA to their folder")
    return Path(folder)


@pytest.fixture(scope="session")
def mashup(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    """A composed mashup of three generated people around a film, 48 frames, and its truth."""
    from rmset.synth.compose import compose_demo

    path = tmp_path_factory.mktemp("mashup") / "mashup.mp4"
    return path, compose_demo(path, seconds=1.6, size=(640, 360), layout="2x2", seed=3)


def true_layout(video_id: str, truth: Truth) -> Layout:
    """Layout as a careful person would draw it: true panels, true regions, first true boxes."""
    segments = []
    for true in truth.segments:
        first = {f.person: f.box for f in reversed(truth.faces) if true.start_frame <= f.frame < true.end_frame}
        people = []
        for person, panel in sorted(true.panels.items()):
            box = first[person]
            inside = (max(box[0], panel[0]), max(box[1], panel[1]), min(box[2], panel[2]), min(box[3], panel[3]))
            people.append(Person(person, inside, panel, "manual"))
        regions = tuple(TriggerRegion(b, "manual") for b in true.trigger_regions)
        segments.append(Segment(true.start_frame, true.end_frame, true.start_frame, regions, tuple(people), True))
    return Layout(video_id, truth.frame_size, tuple(segments))


@pytest.fixture(scope="session")
def laid_out_root(mashup: tuple[Path, Truth], tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A root with the mashup and its true layout, not tracked. Copy it before changing it."""
    from rmset.stages import fetch

    root = Root(tmp_path_factory.mktemp("root") / "root")
    record = fetch.add(root, mashup[0])
    root.write_layout(true_layout(record.video_id, mashup[1]))
    return root


@pytest.fixture(scope="session")
def finished_root(laid_out_root: Root, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """The same root, tracked and exported."""
    import shutil

    from rmset.engine import build
    from rmset.stages.export import ExportConfig
    from rmset.stages.track import TrackConfig

    root = Root(tmp_path_factory.mktemp("finished") / "root")
    shutil.copytree(laid_out_root.path, root.path)
    steps = [("track", TrackConfig()), ("export", ExportConfig(size=64))]
    outcomes = list(build(root, root.video_ids(), steps))
    assert [o.status for o in outcomes] == ["done", "done"], outcomes
    return root


@pytest.fixture(scope="session")
def workplace(finished_root: Root, mashup: tuple[Path, Truth], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the examples of docstrings and documents run.

    data/rmset, mashup.mp4, photo.jpg (a frame of it), a small set `ferplus` by datasets.toml, and the run runs/cel.
    """
    import shutil

    import cv2

    from rmset.parts.frames import VideoReader

    folder = tmp_path_factory.mktemp("workplace")
    shutil.copytree(finished_root.path, folder / "data" / "rmset")
    shutil.copy(mashup[0], folder / "mashup.mp4")
    with VideoReader(mashup[0]) as reader:
        frame = next(iter(reader.frames())).rgb
    cv2.imwrite(str(folder / "photo.jpg"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 97])
    script = Path(__file__).parent / "fertrain" / "example_run.py"
    subprocess.run([sys.executable, script], cwd=folder, check=True)
    return folder
