"""Kills of every writing command, at random moments and just before writes: run again, it gives the usual bytes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.attack import tally
from tests.attack.commands import CASES, LONG, Case, commands
from tests.attack.outcomes import check_whole, results, stable, unfinished
from tests.attack.processes import Ended, Victims
from tests.attack.world import World


def is_finished(case: Case, ended: Ended) -> bool:
    """Whether a run is refused because the killed one had already finished."""
    return case.grows and ended.code == 2 and "finished run" in ended.said


WRITING = [name for name, case in CASES.items() if case.writes]
QUICK = (
    "add", "export", "verify --repair", "pairs", "pairs --all", "preview", "datasets add",
)  # fmt: skip
FEW, MANY = 2, 24


def test_every_command_has_a_case() -> None:
    assert {case.command for case in CASES.values()} | set(LONG) == set(commands())


def calm_run(case: Case, world: World, victims: Victims, place: Path) -> tuple[Ended, dict[str, str], dict[str, str]]:
    """Run a command undisturbed; return its outcome, inputs and results."""
    world.prepare(case, place)
    given = stable(results(place))
    victims.run(place, world.words(case), learn=True, cpu_s=case.cpu_s)
    world.prepare(case, place)
    ended = victims.run(place, world.words(case), cpu_s=case.cpu_s)
    assert ended.code == case.code, ended.said
    left = results(place)
    assert unfinished(place) == []
    return ended, given, left


@pytest.mark.parametrize(
    ("name", "kills"),
    [pytest.param(name, FEW, marks=() if name in QUICK else pytest.mark.slow) for name in QUICK]
    + [pytest.param(name, MANY, marks=pytest.mark.slow) for name in WRITING],
)
def test_a_killed_command_run_again_leaves_the_bytes_of_a_calm_run(
    name: str, kills: int, world: World, victims: Victims, tmp_path: Path
) -> None:
    case, place = CASES[name], tmp_path / "killed"
    calm, given, left = calm_run(case, world, victims, tmp_path / "calm")
    words, chance, hits = world.words(case), random.Random(f"{name} {kills}"), 0
    world.prepare(case, place)
    for _ in range(kills):
        if calm.events and chance.random() < 0.5:
            # Just before something of the root changes.
            ended = victims.run(place, words, at_event=chance.randint(1, calm.events), cpu_s=case.cpu_s)
        else:
            ended = victims.run(place, words, delay=chance.uniform(0, calm.seconds), cpu_s=case.cpu_s)
        hits += ended.hit
        assert ended.code in ((-9,) if ended.hit else (case.code, 1, 2)), ended.said
        check_whole(case, place, given, left)
        if not ended.hit or case.adds:
            # It finished before the kill, so it starts again from the beginning.
            world.prepare(case, place)
    again = victims.run(place, words, cpu_s=case.cpu_s)
    assert again.code == case.code or is_finished(case, again), again.said
    after = results(place)
    assert after.keys() == left.keys()
    assert stable(after) == stable(left)
    assert unfinished(place) == []
    tally.note("kills", name, cases=kills, hits=hits)
    assert hits > kills // 3
