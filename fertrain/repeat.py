"""The same settings with several seeds, one run folder each: what `--runs 5` does, and `fertrain compare` reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rmset.errors import UsageError
from rmset.progress import Progress, silent

from .config import RunConfig
from .experiment import RunResult, run
from .metrics import scores_from
from .runs import RunFolder


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
    results = []
    for seed in range(config.seed, config.seed + runs):
        folder = Path(config.out) / f"seed-{seed}"
        wanted = replace(config, seed=seed, out=str(folder))
        if (folder / "metrics.json").is_file() and not config.overwrite:
            found = RunFolder(folder)
            # where it lies and how many processes decode does not decide the weights
            if replace(found.config(), out="", workers=0) != replace(wanted, out="", workers=0):
                raise UsageError(f"expected a run with these settings in {folder}, found another; give another --out")
            say(f"seed {seed}: finished already, kept")
            metrics = found.metrics()
            results.append(RunResult(folder, metrics, scores_from(metrics)))
            continue
        say(f"seed {seed}")
        results.append(run(wanted, progress, say))
    return results
