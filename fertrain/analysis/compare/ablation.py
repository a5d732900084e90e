"""Seeds × variants into one table: `fertrain ablate GRID`.

A grid is a TOML file:

    about = "what it compares"
    seeds = 3                          # or a list

    [settings]                         # as in a run's config.toml, common to all; or recipe = "NAME" on top
    method = "rmfer"

    [variants."without attention"]     # what each changes; the first is the baseline
    rmfer.lambda1 = 0.0

With a table [people] the variants are compared on people never seen: `people` runs such a grid.

Every run is an ordinary run folder, `OUT/VARIANT/seed-K`, which `fertrain compare` reads too. Finished runs are not
repeated, an interrupted one resumes. Every variant gets its first seed before any gets its second, so a stopped grid
is a complete table of fewer seeds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from rmset.bounded import parse_toml, read_text
from rmset.errors import UnreadableError, UsageError
from rmset.locks import change
from rmset.progress import Progress, silent

from ...config.recipes import recipe
from ...config.run import RunConfig
from ...config.serialization import changed, deciding
from ...errors import DatasetError, TrainingError, UnknownNameError
from ...evaluation.metrics import scores_from
from ...methods import METHODS
from ...run_folder import RunFolder
from ...training.experiment import RunResult, run
from ...training.resolve import resolve
from .people_plan import PeoplePlan, people_plan
from .sharing import helpers, share
from .table import write

_FOLDER = "grid_files"
_KEYS = {"about", "seeds", "recipe", "settings", "variants", "people"}


@dataclass(frozen=True)
class Grid:
    """A grid: seeds, common settings, and variants."""

    about: str
    """One sentence on what the grid compares."""
    seeds: tuple[int, ...]
    """Seeds; each variant runs with each of them."""
    start: RunConfig
    """Settings that all variants share."""
    variants: Mapping[str, Mapping[str, Any]]
    """Changed settings by name of the variant; the first variant is the baseline of the table."""
    source: str = "the grid"
    """File it was read from, for messages."""
    people: PeoplePlan | None = None
    """Worlds and measures of a comparison on people never seen."""

    def __post_init__(self) -> None:
        if not self.seeds or not self.variants or len(set(self.seeds)) != len(self.seeds):
            raise UsageError(
                f"expected one seed or more, each once, and one variant or more in {self.source}, found seeds "
                f"{list(self.seeds)} and {len(self.variants)} variants"
            )
        if len({slug(name) for name in self.variants}) != len(self.variants):
            raise UsageError(f"expected variants whose folders differ in {self.source}, found {list(self.variants)}")

    def configs(self, out: Path) -> dict[str, RunConfig]:
        """Return the settings of each variant; an unknown name fails here, before anything runs."""
        configs = {}
        for name, changes in self.variants.items():
            config = changed(self.start, changes, f"variant '{name}'")
            if not config.data.labeled:
                raise UsageError(f"expected a labeled set, found none in {self.source}; give `data.labeled`")
            if config.method not in METHODS:
                raise UnknownNameError("method", config.method, METHODS)
            configs[name] = replace(config, out=str(out / slug(name)))
        return configs


@dataclass(frozen=True)
class GridResult:
    """Result of a grid."""

    rows: list[dict[str, Any]]
    """One row per variant, as in table.json."""
    files: list[Path]
    """Table files written."""
    failed: dict[str, str] = field(default_factory=dict)
    """Failed runs by folder, with the reason."""


def names() -> list[str]:
    """List the grids that come with the package."""
    return sorted(p.name.removesuffix(".toml") for p in files(__package__).joinpath(_FOLDER).iterdir())


def read(name: str) -> Grid:
    """Read the grid of that name, or of a file *.toml."""
    if name.endswith(".toml"):
        if not Path(name).is_file():
            raise UsageError(f"expected a grid file, found none at {name}; built in: {', '.join(names())}")
        return parse(read_text(Path(name)), name)
    if name not in names():
        raise UnknownNameError("grid", name, names(), "or name a file *.toml")
    return parse(files(__package__).joinpath(_FOLDER, f"{name}.toml").read_text(encoding="utf-8"), name)


def parse(text: str, source: str) -> Grid:
    """Parse a grid."""
    try:
        values = parse_toml(text, source)
    except UnreadableError as error:
        raise UsageError(f"expected a grid in TOML in {source}, found: {error}") from None
    if strange := values.keys() - _KEYS:
        raise UnknownNameError(f"key in {source}:", sorted(strange)[0], _KEYS)
    seeds, variants = values.get("seeds", 3), values.get("variants", {})
    people = values.get("people", {})
    for key, kind, found in (
        ("variants", dict, variants), ("settings", dict, values.get("settings", {})), ("people", dict, people),
        ("recipe", str, values.get("recipe", "")),
    ):  # fmt: skip
        if not isinstance(found, kind):
            wanted = "tables" if kind is dict else "a name"
            raise UsageError(f"expected {wanted} for {key} in {source}, found {found!r}")
    listed = list(range(seeds)) if isinstance(seeds, int) else seeds
    if not isinstance(listed, list) or not all(isinstance(seed, int) for seed in listed):
        raise UsageError(f"expected a number of seeds or a list of them in {source}, found {seeds!r}")
    if bare := [name for name, changes in variants.items() if not isinstance(changes, dict)]:
        raise UsageError(f"expected a table of settings for the variant '{bare[0]}' in {source}, found a value")
    start = recipe(values["recipe"]).config if "recipe" in values else RunConfig()
    start = changed(start, values.get("settings", {}), f"[settings] of {source}")
    plan = people_plan(people, source, listed, list(variants)) if people else None
    return Grid(str(values.get("about", source)), tuple(listed), start, variants, source, plan)


def ablate(
    plan: Grid, out: Path, only: Sequence[str] = (), progress: Progress = silent,
    say: Callable[[str], None] = lambda line: None,  # noqa: ARG005
    jobs: int = 1,
) -> GridResult:  # fmt: skip
    """Run what is not finished, and write `table.md`, `table.csv` and `table.json` after every run.

    A run whose loss becomes NaN is noted in the table and the others continue. `only` restricts the variants that
    run; the table also shows finished runs of the others. `jobs` processes do runs at once, each with its share of the
    cores.

    Raises:
        UsageError: an unknown setting, or a folder with a run of other settings.
    """
    configs = plan.configs(out)
    require_variants(plan, only)
    for name in only or configs:
        for seed in plan.seeds:
            try:
                resolve(replace(configs[name], seed=seed))
            except (UsageError, DatasetError) as error:
                raise UsageError(f"variant '{name}': {error}") from None
    todo = [(seed, name) for seed in plan.seeds for name in configs if not only or name in only]
    out.mkdir(parents=True, exist_ok=True)
    failed: dict[str, str] = {}

    def tables() -> GridResult:
        with change(out / "table.json"):
            rows, written = write(plan.about, {n: out / slug(n) for n in configs}, plan.seeds, failed, out)
        return GridResult(rows, written, failed)

    def work(run: tuple[int, str]) -> None:
        seed, name = run
        say(f"{todo.index(run) + 1} of {len(todo)}: {name}")
        try:
            run_seed(configs[name], seed, progress, say)
        except TrainingError as error:
            failed[f"{slug(name)}/seed-{seed}"] = str(error)
            say(f"failed: {error}")
        tables()

    with helpers(jobs, say, ablate, plan, out, only):
        share(todo, lambda run: out / "locks" / f"{slug(run[1])}-{run[0]}", work)
    return tables()


def require_variants(plan: Grid, only: Sequence[str]) -> None:
    """Raise UnknownNameError for a name that is not a variant's."""
    for name in only:
        if name not in plan.variants:
            raise UnknownNameError("variant", name, plan.variants)


def slug(name: str) -> str:
    """Name a variant's folder."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "variant"


def run_many(
    config: RunConfig, runs: int, progress: Progress = silent,
    say: Callable[[str], None] = lambda line: None,  # noqa: ARG005
) -> list[RunResult]:  # fmt: skip
    """Run seeds `config.seed`, `config.seed + 1` … in `out/seed-K`; keep finished ones, unless `overwrite` is set.

    Raises:
        UsageError: `runs` is below 1, or a folder holds a run with other settings.
    """
    if runs < 1:
        raise UsageError(f"expected one run or more, found {runs}")
    return [run_seed(config, seed, progress, say) for seed in range(config.seed, config.seed + runs)]


def run_seed(
    config: RunConfig, seed: int, progress: Progress = silent,
    say: Callable[[str], None] = lambda line: None,  # noqa: ARG005
) -> RunResult:  # fmt: skip
    """Run one seed in `out/seed-K`; keep it if it is finished, resume it if it was interrupted.

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
        raise UsageError(f"expected a run with these settings in {folder}, found another; give another `out`")
    say(f"seed {seed}: finished already, kept")
    metrics = found.metrics()
    return RunResult(folder, metrics, scores_from(metrics))


def seed_folder(config: RunConfig, seed: int) -> Path:
    """Folder of a seed's run."""
    return Path(config.out) / f"seed-{seed}"
