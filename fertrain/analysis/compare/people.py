"""A grid on people never seen: worlds by seed, rates chosen on tuning people, then every variant at every budget.

    set ─ identity_mashup ─> OUT/worlds/seed-K        people dealt anew for each seed; tuning people always the same
        ─ tuning ──────────> OUT/tuning.json          each variant's rate: best mean mAP on the tuning people
        ─ beginning ───────> OUT/labels-N/begin/seed-K     what all variants go on from
        ─ runs ────────────> OUT/labels-N/VARIANT/seed-K   ordinary run folders, with people.json
        ─ people_table ────> OUT/people.md, .csv, .json    means, differences, claims

Everything that is finished is kept, so the same command resumes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rmset.bounded import read_json
from rmset.errors import UsageError
from rmset.locks import change
from rmset.progress import Progress, silent
from rmset.synth.posed import write_posed_set

from ...config.run import RunConfig
from ...config.serialization import changed, settings_of
from ...datasets.base import GIVEN
from ...datasets.registry import open_labeled
from ...errors import DatasetError, TrainingError
from ...files import write_json
from ...training.resolve import resolve
from ...unlabeled.identity_mashup import IdentityConfig, write_identity_world
from .ablation import Grid, GridResult, require_variants, run_seed, slug
from .people_cost import seconds_per_run
from .people_measures import measured, purity_of
from .people_plan import PeoplePlan
from .people_table import Found, budget_name, decisions, rows, write
from .sharing import helpers, share

_Say = Callable[[str], None]


def ablate_people(
    plan: Grid, out: Path, only: Sequence[str] = (), progress: Progress = silent,
    say: _Say = lambda line: None,  # noqa: ARG005
    jobs: int = 1,
) -> GridResult:  # fmt: skip
    """Run what is not finished, and write `people.md`, `people.csv` and `people.json` after every run.

    Args:
        plan: a grid with a table [people]; its labeled set names its subjects, or is `generated:N`.
        out: folder of worlds, runs and tables.
        only: variants to run; the tables also show finished runs of the others.
        progress: progress callback.
        say: callback for one-line messages.
        jobs: processes that do runs at once, each with its share of the cores.

    Raises:
        UsageError: an unknown setting, a folder with a world or a run of other settings, or no tuning people.
        DatasetError: the set has too few people.
    """
    assert plan.people is not None
    require_variants(plan, only)
    bench = _Bench(plan, plan.people, out.resolve(), progress, say)
    out.mkdir(parents=True, exist_ok=True)
    with helpers(jobs, say, ablate_people, plan, out, only):
        return bench.run(list(only or plan.variants))


class _Bench:
    """A grid at work in its folder."""

    def __init__(self, plan: Grid, people: PeoplePlan, out: Path, progress: Progress, say: _Say) -> None:
        if not plan.start.data.labeled:
            raise UsageError(
                f"expected a labeled set that names its subjects, found none in {plan.source}; give `data.labeled`, or "
                "generated:60 for 60 generated people"
            )
        self.plan, self.people, self.out, self.progress, self.say = plan, people, out, progress, say
        self.failed: dict[str, str] = {}

    def run(self, names: list[str]) -> GridResult:
        """Make worlds, choose rates, train, measure and write."""
        seeds = [*self.people.tune.seeds, *self.plan.seeds]
        # all worlds show the same people, so those are drawn before any world
        share(["people"], self._lock, lambda _: self.labeled_faces())
        share(seeds, lambda seed: self._lock("world", seed), self.world)
        budgets = self.budgets()
        # every setting is checked before the first training
        for name in names:
            resolve(self.config(name, seeds[0], budgets[0], {}))
        self._tell_cost(names, budgets)
        if self.people.begin:
            begun = [(s, budgets[0]) for s in self.people.tune.seeds]
            begun += [(s, b) for b in budgets for s in self.plan.seeds]
            share(begun, lambda of: self._lock("begin", *of), lambda of: self.begin(*of))
        chosen = self.tune(names, budgets[0])
        todo = [(b, s, n) for b in budgets for s in self.plan.seeds for n in names]
        share(todo, lambda run: self._lock("run", *run), lambda run: self._compared(run, todo, budgets, chosen))
        found = self.found(budgets, chosen)
        for line in decisions(found, self.people.families):
            self.say(line)
        return GridResult(rows(found), self._tables(found), self.failed)

    def _lock(self, *what: object) -> Path:
        return self.out / "locks" / "-".join(slug(str(w)) for w in what)

    def _compared(
        self, run: tuple[int, int, str], todo: Sequence[object], budgets: Sequence[int], chosen: Mapping[str, Any]
    ) -> None:
        """Do a run of the comparison, and write the tables again."""
        budget, seed, name = run
        self.say(f"{todo.index(run) + 1} of {len(todo)}: {name}, {budget_name(budget)}")
        changes = self.people.tune.changes(chosen[name]["value"]) if chosen[name] else {}
        self.train(name, seed, budget, changes, "test", _folder(budget))
        self._tables(self.found(budgets, chosen))

    def _tables(self, found: Sequence[Found]) -> list[Path]:
        with change(self.out / "people.json"):
            return write(self.plan.about, found, self.people.families, self.facts(), self.failed, self.out)

    def labeled_faces(self) -> str:
        """Return the labeled set of all worlds; a generated one is written first."""
        labeled = self.plan.start.data.labeled
        generated = IdentityConfig(labeled).generated
        if generated is None:
            return labeled
        posed = self.out / "posed"
        if not posed.exists():
            write_posed_set(posed, generated, size=self.people.world.size, progress=self.progress)
        return f"csv:{posed}"

    def world(self, seed: int) -> Path:
        """Return the world of a seed; write it, or check that it has these settings."""
        config = replace(self.people.world, labeled=self.labeled_faces(), seed=seed)
        folder = self.out / "worlds" / f"seed-{seed}"
        if not folder.exists():
            self.say(f"world of seed {seed}")
            write_identity_world(folder, config, self.progress)
        elif read_json(folder / "world.json") != asdict(config):
            raise UsageError(f"expected a world of these settings in {folder}, found another; give another `out`")
        return folder

    def budgets(self) -> list[int]:
        """Return the budgets that every world can fill; 0 (all labels) always."""
        least = min(
            len(self.labeled(seed).load("train", GIVEN)) for seed in (*self.people.tune.seeds, *self.plan.seeds)
        )
        found = [n for n in self.people.budgets if n < least]
        if len(found) < len(self.people.budgets):
            left_out = ", ".join(str(n) for n in self.people.budgets if n >= least)
            self.say(f"label budgets left out: {left_out}; the labeled people have {least} images")
        if not found:
            raise DatasetError(
                f"expected a label budget below {least} (images of the labeled people), found "
                f"{list(self.people.budgets)}; 0 takes all"
            )
        return found

    def labeled(self, seed: int) -> Any:
        """Open the labeled set of a world."""
        return open_labeled(f"parquet:{self.world(seed) / 'labelled'}")

    def config(self, name: str, seed: int, budget: int, changes: Mapping[str, Any]) -> RunConfig:
        """Return the settings of a training, without its folder."""
        config = changed(self.plan.start, self.plan.variants[name], f"variant '{name}'")
        config = changed(config, changes, "[people.tune]")
        config = self._on(config, seed, budget)
        if self.people.begin:
            config = replace(config, model=replace(config.model, run=str(self._begun(seed, budget))))
        return config

    def begin(self, seed: int, budget: int) -> None:
        """Train what all variants of a seed and budget go on from, unless it is finished."""
        self.say(f"beginning of all variants, {budget_name(budget)}")
        config = replace(self.plan.start, optim=replace(self.plan.start.optim, epochs=self.people.begin))
        config = self._on(config, seed, budget)
        # its held-out part is the tuning people; it counts no one else
        config = replace(
            config, data=replace(config.data, report_on="valid"), out=str(self._begun(seed, budget).parent)
        )
        run_seed(config, seed, self.progress, self.say)

    def _begun(self, seed: int, budget: int) -> Path:
        return self.out / _folder(budget) / "begin" / f"seed-{seed}"

    def _on(self, config: RunConfig, seed: int, budget: int) -> RunConfig:
        """Return settings with the world of a seed and a label budget."""
        world = self.world(seed)
        data = replace(
            config.data, labeled=f"parquet:{world / 'labelled'}", unlabeled=f"rmset:{world / 'root'}",
            labels=budget or None, holdout_by="valid",
        )  # fmt: skip
        return replace(config, data=data)

    def tune(self, names: Sequence[str], budget: int) -> dict[str, Any]:
        """Choose the rate of each variant on the tuning people; of others, what was chosen before stays."""
        tune, kept = self.people.tune, self.out / "tuning.json"
        todo = [(n, v, s) for n in names for v in tune.values for s in tune.seeds]
        share(todo, lambda run: self._lock("tuning", *run), lambda run: self._tried(*run, budget))
        with change(kept):
            chosen = read_json(kept) if kept.is_file() else {}
            chosen |= {name: self._best(name) for name in names}
            write_json(kept, chosen)
        return dict(chosen)

    def _tried(self, name: str, value: float, seed: int, budget: int) -> None:
        self.say(f"tuning: {name}, {self.people.tune.setting} = {value:g}")
        self.train(name, seed, budget, self.people.tune.changes(value), "valid", f"tuning/{value:g}")

    def _best(self, name: str) -> dict[str, Any]:
        """Choose a variant's rate by the mean mAP on the tuning people; the first of equals."""
        tune = self.people.tune
        if not tune.values:
            return {}
        # a rate at which a run failed is not chosen
        score = {
            value: float(np.mean([self.kept(name, s, f"tuning/{value:g}").get("map", math.nan) for s in tune.seeds]))
            for value in tune.values
        }
        usable = [value for value in tune.values if not math.isnan(score[value])]
        if not usable:
            raise UsageError(
                f"expected an expression that two tuning people show, and a rate at which '{name}' learns, found none; "
                "take a set of more people, or larger shares for tuning"
            )
        best = max(usable, key=lambda value: score[value])
        self.say(f"tuning: {name}: {tune.setting} = {best:g}")
        return {"setting": tune.setting, "value": best, "map": {f"{v:g}": m for v, m in score.items()}}

    def train(
        self, name: str, seed: int, budget: int, changes: Mapping[str, Any], split: str, where: str
    ) -> None:  # fmt: skip
        """Train one variant unless it is finished, and measure it on the people of a split."""
        config = self.config(name, seed, budget, changes)
        config = replace(config, data=replace(config.data, report_on=split), out=str(self.out / where / slug(name)))
        began = time.process_time()
        try:
            result = run_seed(config, seed, self.progress, self.say)
        except TrainingError as error:
            self.failed[f"{where}/{slug(name)}/seed-{seed}"] = str(error)
            self.say(f"failed: {error}")
            return
        kept = result.folder / "people.json"
        if kept.is_file():
            return
        spent = time.process_time() - began
        values = measured(result.folder, self.labeled(seed).load(split, GIVEN), self.people.faces)
        # the candidates are the same for all variants; their purity is measured with the baseline's features
        if split == "test" and name == next(iter(self.plan.variants)):
            root = self.world(seed) / "root"
            values |= {"purity": asdict(purity_of(result.folder, root, self.plan.start.rmfer, self.people.anchors))}
        accuracy = result.metrics["overall_accuracy"]
        write_json(kept, {"accuracy": accuracy, **values, "cpu_seconds": round(spent, 1)})

    def kept(self, name: str, seed: int, where: str) -> dict[str, Any]:
        """Return the measures of a finished run; empty if it is not finished."""
        path = self.out / where / slug(name) / f"seed-{seed}" / "people.json"
        return dict(read_json(path)) if path.is_file() else {}

    def found(self, budgets: Sequence[int], chosen: Mapping[str, Mapping[str, Any]]) -> list[Found]:
        """Collect the finished runs by budget and variant."""
        found = []
        for budget in budgets:
            for name in self.plan.variants:
                runs = {seed: self.kept(name, seed, _folder(budget)) for seed in self.plan.seeds}
                done = {seed: values for seed, values in runs.items() if values}
                found.append(Found(budget, name, chosen.get(name, {}), done))
        return found

    def facts(self) -> dict[str, Any]:
        """Return the settings of worlds and runs."""
        world = read_json(self.world(self.plan.seeds[0]) / "world.json")
        return {"world": world, "settings": settings_of(self.plan.start), "seeds": self.plan.seeds}

    def _tell_cost(self, names: Sequence[str], budgets: Sequence[int]) -> None:
        """Estimate the time of all trainings from a few steps of each variant."""
        tuning = len(self.people.tune.values) * len(self.people.tune.seeds)
        runs = tuning + len(budgets) * len(self.plan.seeds)
        seed = self.plan.seeds[0]
        classes = len(self.labeled(seed).order.classes)
        each = {n: seconds_per_run(self.config(n, seed, budgets[0], {}), classes) for n in names}
        begun = len(self.people.tune.seeds) + len(budgets) * len(self.plan.seeds) if self.people.begin else 0
        start = replace(self.plan.start, optim=replace(self.plan.start.optim, epochs=self.people.begin or (0,)))
        before = seconds_per_run(start, classes)
        whole = sum(each.values()) * runs + before * begun
        values = {"runs_of_each": runs, "seconds_of_a_run": each, "beginnings": begun, "seconds_of_a_beginning": before}
        write_json(self.out / "estimate.json", {**values, "threads": torch.get_num_threads(), "hours": whole / 3600})
        self.say(
            f"{runs * len(names)} trainings ({tuning} of each variant for tuning) and {begun} beginnings: about "
            f"{whole / 3600:.1f} hours on {torch.get_num_threads()} threads of this machine as it is now"
        )


def _folder(budget: int) -> str:
    return f"labels-{budget or 'all'}"
