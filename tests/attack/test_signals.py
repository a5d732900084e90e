"""Ctrl-C and SIGTERM at a random moment end every longer command with one line, its exit code, and whole files."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.attack import tally
from tests.attack.commands import CASES
from tests.attack.outcomes import check_whole, results, stable, unfinished
from tests.attack.processes import Victims
from tests.attack.test_kills import calm_run, is_finished
from tests.attack.world import World

CODES = {"SIGINT": 130, "SIGTERM": 143}
QUICK = ("export", "preview", "verify --repair")


@pytest.mark.parametrize(
    ("name", "count"),
    [(name, 2) for name in QUICK] + [pytest.param(name, 6, marks=pytest.mark.slow) for name in CASES],
)
def test_a_signal_ends_a_command_with_one_line_and_nothing_half_done(
    name: str, count: int, world: World, victims: Victims, tmp_path: Path
) -> None:
    case, place = CASES[name], tmp_path / "stopped"
    calm, given, left = calm_run(case, world, victims, tmp_path / "calm")
    words, chance, hits, early = world.words(case), random.Random(f"{name} {count}"), 0, 0
    for number in range(count):
        if number % 3 == 0:
            world.prepare(case, place)
        sent = chance.choice(sorted(CODES))
        ended = victims.run(place, words, delay=chance.uniform(0, calm.seconds), signal=sent, cpu_s=case.cpu_s)
        if ended.code in (-2, -15) or (ended.code == 130 and not ended.said):
            # The signal came before the command's first line: no work was begun and no message is printed.
            early += 1
        elif ended.code == CODES[sent]:
            hits += 1
            assert ended.lines[-1].startswith(f"{case.words[0]}: stopped; run the same command again"), ended.said
            if not case.grows:
                assert unfinished(place) == []
        else:
            # The run had finished, so it is not run again.
            assert ended.code in (case.code, 2), ended.said
        check_whole(case, place, given, left)
        if ended.code in (case.code, 2) or case.adds:
            world.prepare(case, place)
    again = victims.run(place, words, cpu_s=case.cpu_s)
    assert again.code == case.code or is_finished(case, again), again.said
    after = results(place)
    assert after.keys() == left.keys()
    assert stable(after) == stable(left)
    tally.note("signals", name, cases=count, hits=hits, early=early)
