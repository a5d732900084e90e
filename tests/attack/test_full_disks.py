"""Full disks: every writing command ends with one line and whole files; with space again, the bytes are as usual."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.attack import tally
from tests.attack.commands import CASES
from tests.attack.outcomes import check_whole, results, stable, unfinished
from tests.attack.processes import Victims
from tests.attack.test_kills import WRITING, calm_run, is_finished
from tests.attack.world import World

QUICK = ("export", "verify --repair", "datasets add")
PAGE, ROOM = 4096, 65536


def pages(folder: Path) -> int:
    """Pages of memory that the files of a folder need on a tmpfs."""
    return sum(-(-p.stat().st_size // PAGE) for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A file system that can be mounted or resized to a number of pages; only root may mount."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted: list[Path] = []

    def sized(count: int) -> Path:
        again = "remount," if mounted else ""
        words = ["mount", "-t", "tmpfs", "-o", f"{again}size={count * PAGE},mode=700", "none", str(place)]
        if subprocess.run(words, capture_output=True, check=False).returncode:
            pytest.skip("needs to mount a small file system, which only root may")
        mounted[:] = [place]
        return place

    yield sized
    if mounted:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize(
    ("name", "count"),
    [(name, 1) for name in QUICK] + [pytest.param(name, 4, marks=pytest.mark.slow) for name in WRITING],
)
def test_a_full_disk_is_one_line_and_with_room_the_command_goes_on(
    name: str, count: int, world: World, victims: Victims, disk: Callable[[int], Path], tmp_path: Path
) -> None:
    case, chance, full = CASES[name], random.Random(f"{name} {count}"), 0
    calm_place = tmp_path / "calm"
    _, given, left = calm_run(case, world, victims, calm_place)
    grown = pages(calm_place)
    world.prepare(case, calm_place)
    taken = pages(calm_place)
    words = world.words(case)
    for number in range(count):
        place = disk(4 * (taken + grown) + ROOM)
        world.prepare(case, place)
        # The first disk has no page left, the others a part of the pages needed.
        room = 0 if number == 0 else chance.randint(0, max(1, grown - taken))
        disk(max(1, pages(place) + room))
        ended = victims.run(place, words, cpu_s=case.cpu_s)
        if ended.code != case.code:
            full += 1
            assert ended.code == 1, ended.said
            # One line for each stage that could not be done.
            assert any("space left" in line for line in ended.lines), ended.said
        check_whole(case, place, given, left)
        if not case.grows:
            assert unfinished(place) == []
        disk(4 * (taken + grown) + ROOM)
        if ended.code != case.code:
            again = victims.run(place, words, cpu_s=case.cpu_s)
            assert again.code == case.code or is_finished(case, again), again.said
        if not case.adds:
            after = results(place)
            assert after.keys() == left.keys()
            assert stable(after) == stable(left)
    tally.note("full disks", name, cases=count, full=full)
