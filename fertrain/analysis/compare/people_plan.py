"""The table [people] of a grid: worlds, label budgets, tuning, and the claims to decide.

[people]
budgets = [70, 0]                   # labeled images; 0: all; the first decides
faces = 6                           # of each person and expression, in a retrieval
claims = [["total", "pre", "random"]]        # a variant, and those that it must beat

[people.world]                      # fields of `unlabeled.identity_mashup.IdentityConfig`
videos = 8

[people.tune]                       # one setting, chosen for every variant alike on the tuning people
setting = "rmfer.acl_lr"
values = [0.1, 0.3, 1.0]
seeds = [101, 102]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rmset.errors import UsageError

from ...config.run import RunConfig
from ...config.serialization import changed, filled, from_words
from ...errors import UnknownNameError
from ...unlabeled.identity_mashup import IdentityConfig


@dataclass(frozen=True)
class Tune:
    """A setting chosen for each variant on people who are in no table."""

    setting: str = "rmfer.acl_lr"
    """Its path, as in config.toml."""
    values: tuple[float, ...] = ()
    """The same values for every variant; the first of the best is taken."""
    seeds: tuple[int, ...] = ()
    """Seeds of the tuning runs; none of the reported ones."""

    def changes(self, value: float) -> dict[str, Any]:
        """Return the setting with a value, as nested mappings."""
        return from_words([f"{self.setting}={value}"])


@dataclass(frozen=True)
class PeoplePlan:
    """A comparison on people never seen."""

    budgets: tuple[int, ...] = (0,)
    """Labeled images; 0: all. The claims are decided at the first; a budget that the set cannot fill is left out."""
    begin: tuple[int, ...] = ()
    """Epochs by phase of a training that all variants of a seed and budget go on from; none: each trains from nothing.
    It has the grid's common settings."""
    faces: int = 6
    """Most faces of each person and expression in a retrieval."""
    anchors: int = 60
    """Anchors whose candidates' purity is measured in each world."""
    claims: tuple[tuple[str, ...], ...] = ()
    """A variant, and the variants that it must beat; p-values are corrected for all of these comparisons."""
    parts: tuple[tuple[str, ...], ...] = ()
    """The same, about the cause of an effect; corrected by themselves."""
    world: IdentityConfig = field(default_factory=lambda: IdentityConfig(""))
    """Mashups and shares of the people; its set and seed are those of each run."""
    tune: Tune = field(default_factory=Tune)
    """Choice of a rate."""

    @property
    def families(self) -> tuple[tuple[tuple[str, ...], ...], ...]:
        """Claims and parts, each corrected by itself; empty ones are left out."""
        return tuple(family for family in (self.claims, self.parts) if family)


def people_plan(table: Mapping[str, Any], source: str, seeds: Sequence[int], variants: Sequence[str]) -> PeoplePlan:
    """Read the table [people] of a grid.

    Args:
        table: the table.
        source: file, for messages.
        seeds: the grid's.
        variants: names of the grid's variants.

    Raises:
        UsageError: an unknown setting, a claim about no variant, or a tuning seed that is also reported.
    """
    plan: PeoplePlan = filled(PeoplePlan(), table, f"[people] of {source}", "people.")
    for what, claims in (("claims", plan.claims), ("parts", plan.parts)):
        for name in (name for claim in claims for name in claim):
            if name not in variants:
                raise UnknownNameError(f"variant in people.{what} of {source}:", name, variants)
        if any(len(claim) < 2 for claim in claims):
            raise UsageError(f"expected a variant and one that it must beat in each of people.{what} of {source}")
    if not plan.budgets or min(plan.budgets) < 0 or plan.faces < 1 or plan.anchors < 1:
        raise UsageError(
            f"expected budgets of 0 or more and a face and an anchor or more in [people] of {source}, found "
            f"{list(plan.budgets)}, {plan.faces} and {plan.anchors}"
        )
    if plan.begin and (not any(plan.begin) or min(plan.begin) < 0):
        raise UsageError(f"expected epochs in people.begin of {source}, found {list(plan.begin)}")
    if shared := set(plan.tune.seeds) & set(seeds):
        raise UsageError(
            f"expected tuning seeds that are in no table, found {sorted(shared)} among the seeds of {source}"
        )
    if bool(plan.tune.values) != bool(plan.tune.seeds):
        raise UsageError(f"expected values and seeds in [people.tune] of {source}, or neither, found one of them")
    for value in plan.tune.values:
        changed(RunConfig(), plan.tune.changes(value), f"[people.tune] of {source}")
    return plan
