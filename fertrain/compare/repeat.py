"""The same settings with several seeds, one run folder each: what `--runs 5` does, and `fertrain compare` reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rmset.errors import UsageError
from rmset.progress import Progress, silent

from ..config import RunConfig, deciding
from ..experiment import RunResult, run
from ..metrics import scores_from
from ..runs import RunFolder


def run_many(
    config: RunConfig, runs: int, progress: Progress = silent,
    say: Callable[[str], None] = lambda line: None,  # noqa: ARG005
) -> list[RunResult]:  # fmt: skip
    """Seeds `config.seed`, `config.seed + 1` … in `out/seed-K`; finished ones are kept, unless they are replaced.

    Raises:
        UsageError: `runs` is no positive number, or a folder holds a run with other settings.
    """
    if runs < 1:
        raise UsageError(f"expected one run or more, found {runs}")
    return [run_seed(config, seed, progress, say) for seed in range(config.seed, config.seed + runs)]


def run_seed(
    config: RunConfig, seed: int, progress: Progress = silent,
    say: Callable[[str], None] = lambda line: None,  # noqa: ARG005
) -> RunResult:  # fmt: skip
    """One seed in `out/seed-K`; kept if it is finished, gone on with if it was broken off.

    Raises:
        UsageError: the folder holds a finished run with other settings.
    """
    folder = seed_folder(config, seed)
    wanted = replace(config, seed=seed, out=str(folder))
    if not (folder / "metrics.json").is_file() or config.overwrite:
        say(f"seed {seed}")
        return run(wanted, progress, say)
    found = RunFolder(folder)
    if deciding(found.config()) != deciding(wanted):
        raise UsageError(f"expected a run with these settings in {folder}, found another; give another --out")
    say(f"seed {seed}: finished already, kept")
    metrics = found.metrics()
    return RunResult(folder, metrics, scores_from(metrics))


def seed_folder(config: RunConfig, seed: int) -> Path:
    """Where the run of a seed lies."""
    return Path(config.out) / f"seed-{seed}"
