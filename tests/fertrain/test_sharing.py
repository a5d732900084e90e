"""Runs of a grid, shared by several processes: each run is done once, and those of a killed process by the others."""

import multiprocessing
import os
import signal
import time

import pytest

# Further imports are in the tests: the processes that these start import this module.
from fertrain.analysis.compare.sharing import helpers, share


def note(folder, item, pause=0.0):
    done = folder / f"done-{item}"
    if done.exists():
        return
    with (folder / "log").open("a") as log:
        log.write(f"{item} {os.getpid()}\n")
    time.sleep(pause)
    done.touch()


def all_of(folder, pause):
    share(range(8), lambda item: folder / "locks" / str(item), lambda item: note(folder, item, pause))


def stop_at(folder, item):
    share([item], lambda item: folder / "locks" / str(item), lambda _: (folder / "held").touch() or time.sleep(60))


@pytest.mark.slow
def test_everything_is_done_once_by_whichever_process_is_free(tmp_path):
    import torch

    before = torch.get_num_threads()
    with helpers(2, print, all_of, tmp_path, 0.2):
        assert torch.get_num_threads() == max(1, before // 2)
        while not (tmp_path / "log").exists():
            time.sleep(0.01)
        all_of(tmp_path, 0.2)

    lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert sorted(item for item, _ in lines) == [str(k) for k in range(8)]
    assert len({process for _, process in lines}) == 2
    assert torch.get_num_threads() == before
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_what_a_killed_process_held_is_done_by_another(tmp_path):
    other = multiprocessing.get_context("spawn").Process(target=stop_at, args=(tmp_path, 3))
    other.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    os.kill(other.pid, signal.SIGKILL)
    other.join()

    all_of(tmp_path, 0.0)
    assert all((tmp_path / f"done-{k}").exists() for k in range(8))


def starts(folder):
    multiprocessing.get_context("spawn").Process(target=(folder / "started").touch).start()


@pytest.mark.slow
def test_helpers_may_start_processes_of_their_own_as_loaders_do(tmp_path):
    said = []
    with helpers(2, said.append, starts, tmp_path):
        pass
    assert (tmp_path / "started").exists()
    assert not said


def fails(number):
    os._exit(number)


@pytest.mark.slow
def test_a_helper_that_fails_is_told(tmp_path):
    said = []
    with helpers(2, said.append, fails, 7):
        pass
    (line,) = said
    assert "exit code 7" in line


@pytest.mark.slow
def test_a_grid_of_two_processes_has_the_runs_of_one(tmp_path, faces):
    from test_ablation import GRID

    from fertrain.analysis.compare.ablation import ablate, parse
    from fertrain.run_folder import RunFolder

    plan = parse(GRID.format(faces=faces), "grid.toml")
    outcome = ablate(plan, tmp_path, jobs=2)

    assert [(row["variant"], row["runs"]) for row in outcome.rows] == [("slow", 2), ("Fast!", 2)]
    assert len(list(tmp_path.glob("*/seed-*/metrics.json"))) == 4
    assert {RunFolder(p.parent).config().seed for p in tmp_path.glob("slow/*/metrics.json")} == {0, 1}
