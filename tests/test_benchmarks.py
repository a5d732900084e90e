"""Every benchmark starts, so that none is found broken at a release."""

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import benchmarks
from benchmarks import calibration, world, world_plan, world_report
from benchmarks.calibration import Video
from rmset.synth.labeled import SplitSize

FOLDER = Path(benchmarks.__path__[0])
COMMANDS = sorted(file.stem for file in FOLDER.glob("*.py") if "\ndef main(" in file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_benchmark_explains_itself(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(f"benchmarks.{name}").main()
    assert stopped.value.code == 0
    assert "usage" in capsys.readouterr().out


def test_the_least_threshold_with_enough_right_videos_is_found():
    videos = [Video("a", "tuning", c, right) for c, right in ((0.3, False), (0.6, True), (0.7, False), (0.9, True))]
    assert calibration.least_threshold(videos) == 0.9
    assert calibration.least_threshold(videos, wanted=0.5) == 0.3
    assert calibration.least_threshold(videos[:1]) == 1.0
    assert calibration.told(videos, 0.8) == "0.80 | 1 of 4 | 1 | 1.000 | 0.05"
    assert calibration.least_share(14, 14) == pytest.approx(0.807, abs=0.001)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["world", "longer"])  # `people` is `longer` with other rules
def test_a_plan_of_the_world_benchmark_is_trained_measured_and_reported(name, monkeypatch, tmp_path, capsys):
    small = replace(world_plan.WORLD, people=2, seconds=6, videos=1)
    for module in (world, world_plan):
        monkeypatch.setattr(module, "WORLD", small)
        monkeypatch.setattr(module, "LABELED", {"train": SplitSize(3, 12), "test": SplitSize(2, 12)})
    monkeypatch.setattr(world_plan, "SEEDS", (1, 2))
    monkeypatch.setattr(world, "ANCHORS", 10)
    begun = replace(world_plan.SETTINGS, optim=replace(world_plan.SETTINGS.optim, epochs=(1, 1, 1)))
    plan = world_plan.PLANS[name]
    settings = replace(plan.settings, optim=replace(plan.settings.optim, epochs=(1, 1, 1)))
    monkeypatch.setattr(world, "SETTINGS", begun)
    monkeypatch.setitem(
        world.PLANS,
        name,
        replace(plan, videos=min(plan.videos, 2), noise=(plan.noise[0], *plan.noise[1:][-2:]), settings=settings),
    )
    monkeypatch.setenv("RMSET_BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["world", name, "--out", str(tmp_path / "found.json")])
    world.main()
    found = json.loads((tmp_path / "found.json").read_text())["results"]
    assert set(found) == {cell.key for cell in world.PLANS[name].cells()}
    shown = capsys.readouterr().out
    for variant in plan.variants:
        for noise in world.PLANS[name].noise:
            # in the tables of strangers, of the unlabeled people and of accuracy
            assert shown.count(f"| {world_report.NAMES[variant]} | {noise:g} |") == 3
    # a line needs three levels
    assert ("## How a lead falls with noise" in shown) == (len(plan.noise) > 2)
