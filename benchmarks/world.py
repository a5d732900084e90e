"""Effect of contrast between reacting people, on generated worlds: `python -m benchmarks.world [PLAN] [--write]`.

On worlds with ground truth (`rmset.synth.world`), for five seeds and five noise levels:

    base -> IAL, once per seed          labels alone (equations 1 to 6)
      ├─ L_pre, as many steps more      baseline of all lines below
      ├─ L_total, mashup's candidates   per noise level
      └─ L_total, random candidates     the authors' control, per noise level

All four have the same labeled batches, rates and steps. Seeds, noise levels, sizes and the outcome measure (mAP of the
same expression in other people, on people unseen in training) were fixed before the first run. The number of anchors
per step (4) was chosen on seed 0, which is in no table, once the contrast shared a pass with the labeled images.

The plan `people` was made after `world` had been run, to find out why unseen people gain so little, and from what the
method learns: four times as many unlabeled people, a control with the mashup's negatives and positives from anywhere,
and both without refinement. Everything else, including the test people, is the same.
The plan `longer` was made after both, to find out why the film's positives have no effect: four times as many steps at
the full rate and τ = 0.3, chosen on seed 0, for L_pre too.

Finished trainings are in `benchmarks/results/PLAN.json`, and the same command continues there. Worlds and weights are
in `$RMSET_BENCH_CACHE/worlds`, else in the user's cache. One to two hours on one core.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.report import RESULTS, commit, machine
from benchmarks.world_plan import ANCHORS, EACH, LABELED, PLANS, RULES, SETTINGS, WORLD, Cell, Plan
from benchmarks.world_report import page
from fertrain.analysis.pairs.purity import Chosen, chosen, purity
from fertrain.analysis.pairs.retrieval import Retrieval, balanced, same_expression, same_person
from fertrain.config.run import RunConfig
from fertrain.datasets.images import in_memory
from fertrain.datasets.registry import images_of, open_labeled, open_split
from fertrain.evaluation import evaluate
from fertrain.evaluation.features import extract
from fertrain.losses.supervised import SCHEMES
from fertrain.methods import METHODS, Phase
from fertrain.methods.rmfer import Rmfer
from fertrain.models.factory import build
from fertrain.models.inference import channel_stats
from fertrain.training.batches import TrainLoader
from fertrain.training.data import LabeledData, open_labeled_data, open_unlabeled
from fertrain.training.loop import accelerator_for, fit
from fertrain.training.resolve import resolve
from fertrain.unlabeled.candidates import open_anchors
from fertrain.unlabeled.crops import CropDataset, open_crops
from fertrain.unlabeled.ground_truth import read_ground_truth
from rmset.root import Root
from rmset.synth.world import WorldConfig, write_world

_BEGUN = ("base", "ial")
"""Trainings at the beginning of every plan."""


class Bench:
    """Worlds and weights in a cache, and the trainings."""

    def __init__(self, cache: Path, plan: Plan) -> None:
        self.cache, self.plan = cache, plan

    def world(self, seed: int, noise: float) -> Path:
        """World of the unlabeled people; noise changes only who follows the film."""
        return self._written(replace(self.plan.world, noise=noise, seed=seed))

    def strangers(self, seed: int) -> Path:
        """World of test people, unseen in training and the same for all plans."""
        return self._written(replace(WORLD, noise=0.0, seed=seed + 1000), f"held-{seed}-0")

    def labeled(self, seed: int) -> Path:
        """Labeled set of other people, the same for all plans."""
        return self._written(replace(WORLD, noise=0.0, seed=seed)) / "labelled"

    def _written(self, config: WorldConfig, name: str | None = None) -> Path:
        """Folder of a world, written unless it is in the cache."""
        many = "" if config.videos == WORLD.videos else f"-{config.videos}"
        path = self.cache / (name or f"world-{config.seed}-{config.noise:g}{many}")
        if not path.exists():
            beside = path.with_name(f".{path.name}.partial")
            shutil.rmtree(beside, ignore_errors=True)
            write_world(beside, config, labeled=None if name or many or config.noise else LABELED)
            beside.rename(path)
        return path

    def config(self, cell: Cell) -> RunConfig:
        """Settings of a training."""
        settings = SETTINGS if cell.variant in _BEGUN else self.plan.settings
        data = replace(
            settings.data, labeled=f"folder:{self.labeled(cell.seed)}",
            unlabeled=None if cell.noise is None else f"rmset:{self.world(cell.seed, cell.noise) / 'root'}",
        )  # fmt: skip
        rules = replace(settings.rmfer, **({"lambda2": 0.0} if cell.noise is None else RULES[cell.variant]))
        return replace(settings, data=data, rmfer=rules, seed=cell.seed)

    def run(self, cell: Cell) -> dict[str, Any]:
        """Train and measure."""
        config, began = self.config(cell), time.process_time()
        torch.manual_seed(cell.seed)
        dataset = open_labeled(config.data.labeled)
        model = build(config.model.name, len(dataset.order), config.model.image_size)
        method = METHODS[config.method](model, config, SCHEMES["mv"])
        assert isinstance(method, Rmfer)
        data = open_labeled_data(resolve(config), dataset, model.channels)
        base, ial, contrast = method.phases
        phase = {"base": base, "ial": ial}.get(cell.variant, contrast)
        if cell.variant != "base":
            before = "base" if cell.variant == "ial" else "ial"
            if before == "ial":
                # f_IAL has begun; otherwise the next phase would begin it anew
                method.begin(ial)
            method.module.load_state_dict(torch.load(self._weights(cell.seed, before), weights_only=True))
        history: dict[str, float] = {}
        mine = self._weights(cell.seed, cell.variant)
        if cell.noise is None and mine.exists():
            # another plan has made it
            if cell.variant == "ial":
                method.begin(ial)
            method.module.load_state_dict(torch.load(mine, weights_only=True))
        else:
            history = _fit(method, data, config, phase)
        if cell.noise is None:
            torch.save(method.module.state_dict(), mine)
        trained = time.process_time() - began
        worlds = self.plan.noise if cell.noise is None else (cell.noise,)
        found = {
            "cell": asdict(cell), "logs": history, "accuracy": _accuracy(method, data, config),
            "held_out": _retrieval(method, data, self.strangers(cell.seed)),
            "in_world": {f"{n:g}": _retrieval(method, data, self.world(cell.seed, n)) for n in worlds},
            # purity of the mashup's candidates, also after training on other candidates
            "purity": {
                f"{n:g}": _purity(method, data, config, self.world(cell.seed, n))
                for n in worlds if cell.variant in ("ial", "total")
            },
        }  # fmt: skip
        return {**found, "train_seconds": round(trained, 1), "seconds": round(time.process_time() - began, 1)}

    def _weights(self, seed: int, phase: str) -> Path:
        settings = SETTINGS if phase in _BEGUN else self.plan.settings
        learned = json.dumps([asdict(settings), {k: asdict(v) for k, v in LABELED.items()}, asdict(WORLD)])
        return self.cache / f"{phase}-{seed}-{hashlib.sha256(learned.encode()).hexdigest()[:12]}.pt"


def _fit(method: Rmfer, data: LabeledData, config: RunConfig, phase: Phase) -> dict[str, float]:
    """Train one phase from the method's present state to its last step; return the last epoch's logs."""
    # not the best epoch on the few held-out images, so that all variants train equally long
    phases = (replace(phase, judged=False),)
    accelerator = accelerator_for(config.device, config.precision, depthwise=method.model.depthwise)
    beside = open_unlabeled(resolve(config), phases, data)
    feed = TrainLoader(
        data.learn, beside.anchors, beside.images, batch_size=config.optim.batch_size, seed=config.seed, workers=0,
        device=accelerator.device,
    )  # fmt: skip
    return dict(fit(method, feed, lambda: 0.0, config.optim, accelerator, phases=beside.phases).history[-1].logs)


def _accuracy(method: Rmfer, data: LabeledData, config: RunConfig) -> float:
    """Accuracy on labeled images of unseen people."""
    dataset = open_labeled(config.data.labeled)
    split = open_split(dataset, "test", "majority")
    images = images_of(split, data.spec)
    return evaluate.judge(method.model, dataset.order.classes, data.spec, split, images).scores.overall_accuracy


def _retrieval(method: Rmfer, data: LabeledData, world: Path) -> dict[str, Any]:
    """Retrieval of the same expression in other people, and of the same person in other expressions, by f and by z."""
    root = Root(world / "root")
    crops = open_crops(root)
    known = read_ground_truth(root, crops.keys)
    assert known is not None
    rows = balanced(known.expression, known.person, EACH, seed=0)
    images = CropDataset.for_spec(crops, data.spec)
    own = data.spec.with_moments(channel_stats(images, data.spec))
    seen = extract(method.model, method.projection, images, own, rows.tolist())
    expression, person = known.expression[rows], known.person[rows]

    def row(found: Retrieval) -> dict[str, float]:
        return {"map": found.mean_ap, "recall_at_1": found.recall_at_1, "chance": found.chance, "n": found.queries}

    return {
        "expression": row(same_expression(seen.features, expression, person)),
        "identity": row(same_person(seen.features, expression, person)),
        "expression_projected": row(same_expression(seen.projected, expression, person)),
    }


def _purity(method: Rmfer, data: LabeledData, config: RunConfig, world: Path) -> dict[str, float]:
    root = Root(world / "root")
    crops = open_crops(root)
    known = read_ground_truth(root, crops.keys)
    assert known is not None
    images = in_memory(CropDataset.for_spec(crops, data.spec), data.spec.shape, config.memory_mb)
    own = data.spec.with_moments(channel_stats(images, data.spec))
    z = extract(method.model, method.projection, images, own, range(len(crops))).projected
    anchors = open_anchors(crops, replace(config.rmfer, candidates="mashup"), seed=1)
    found: list[Chosen] = []
    for step in range(ANCHORS):
        ((rows, p),) = anchors.draw(0, step, 1)
        index = np.asarray(rows)
        found.append(chosen(z, rows[0], index[1 : 1 + p], index[1 + p :], config.rmfer.gamma))
    return asdict(purity(found, known.expression, crops.keys.video, crops.keys.person))


def cache_folder() -> Path:
    """Folder of worlds and weights."""
    base = os.environ.get("RMSET_BENCH_CACHE")
    return (Path(base) if base else Path.home() / ".cache" / "rmset") / "worlds"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", nargs="?", choices=PLANS, default="world")
    parser.add_argument("--write", action="store_true", help="keep results in benchmarks/results")
    parser.add_argument("--report", action="store_true", help="only print what is there")
    parser.add_argument("--out", type=Path, help="keep results in this JSON file instead")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    plan = PLANS[args.plan]
    file = args.out or (RESULTS if args.write else cache) / f"{plan.name}.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    if kept and kept["fixed"] != plan.fixed():
        raise SystemExit(f"expected results of the same settings in {file}, found others; remove it to begin anew")
    results = kept.get("results", {})
    bench = Bench(cache, plan)
    # a plan runs for hours, over several days, so each training records its commit and machine
    made = {"commit": commit(), "machine": machine(load=False)}
    if args.report and not kept:
        raise SystemExit(f"expected results in {file}, found none; leave out --report to make them")
    for cell in [] if args.report else plan.cells():
        if cell.key in results:
            continue
        results[cell.key] = bench.run(cell) | made
        held = results[cell.key]["held_out"]["expression"]["map"]
        print(f"{cell.key:18} {results[cell.key]['seconds']:6.1f} s  mAP {held:.4f}", flush=True)
        part = file.with_name(file.name + ".part")
        part.write_text(json.dumps({"fixed": plan.fixed(), "results": results}, indent=1) + "\n", encoding="utf-8")
        part.replace(file)
    text = page(json.loads(file.read_text()), plan.name)
    print(text)
    if args.write:
        (RESULTS / f"{plan.name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
