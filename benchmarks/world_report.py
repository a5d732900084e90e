"""Table of `benchmarks.world` from its results: means over seeds, paired t-tests, intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from fertrain.analysis.compare.significance import paired

Get = Callable[[dict[str, Any]], float]


def page(values: dict[str, Any], plan: str) -> str:
    """Format a plan's results as Markdown."""
    results, fixed = values["results"], values["fixed"]
    seeds = [s for s in fixed["seeds"] if all(f"{v}/{s}" in results for v in ("base", "ial", "pre"))]
    noise = [f"{n:g}" for n in fixed["noise"]]
    variants = tuple(fixed["variants"])
    full = {n: [s for s in seeds if all(f"{v}/{s}/{n}" in results for v in variants)] for n in noise}
    # levels without a training yet are left out, except the first
    full = {n: have for k, (n, have) in enumerate(full.items()) if have or k == 0}
    optim, rules = fixed["settings"]["optim"], fixed["settings"]["rmfer"]
    world = fixed["world"]
    about = (
        f"{len(seeds)} of {len(fixed['seeds'])} seeds. {fixed['settings']['model']['name']} at "
        f"{fixed['settings']['model']['image_size']} px from nothing; epochs of eight steps: base "
        f"{optim['epochs'][0]}, IAL {optim['epochs'][1]}, then {optim['epochs'][2]} with L_pre or L_total; rates "
        f"{optim['lr']:g}, × {rules['ial_lr']:g}, × {rules['acl_lr']:g}; τ = {rules['tau']:g}, "
        f"λ₁ = {rules['lambda1']:g}, λ₂ = {rules['lambda2']:g}, γ = {rules['gamma']:g}, d = {rules['d']}, "
        f"d' = {rules['d_far']}, {rules['anchors']} anchors a step. Worlds: {world['videos']} videos of "
        f"{world['people']} people, {world['seconds']:g} s at {world['fps']:g} frames/s, delays up to "
        f"{world['max_delay']:g} s. {fixed['labelled']['train']['images_per_class']} labeled images per class of "
        f"{fixed['labelled']['train']['people']} other people. ± is the standard deviation over seeds; intervals are "
        "95 %, of a paired t-test over seeds."
    )
    if "begun" in fixed:
        begun = fixed["begun"]["rmfer"]
        about += f" Base and IAL are those of the first plan, τ = {begun['tau']:g}."
    named = "" if plan == "world" else f"{plan} "
    made = ("; ".join(dict.fromkeys(r[of] for r in results.values())) for of in ("commit", "machine"))
    lines = [
        "# A world with known truth", "",
        f"`python -m benchmarks.world {named}--write`, commit {', '.join(made)}.", "", about, "",
    ]  # fmt: skip
    lines += _candidates(results, seeds, noise)
    lines += _learned(results, seeds, full, variants, "held_out", "Retrieval on people never seen (noise 0)",
                     "The result that was fixed beforehand is the mAP of this table.")  # fmt: skip
    lines += _learned(results, seeds, full, variants, "in_world", "Retrieval on the unlabeled people themselves", "")
    lines += _accuracy(results, seeds, full, variants)
    lines += _falling(results, full, variants)
    lines += _verdicts(results, seeds, full, noise)
    total = sum(r["seconds"] for r in results.values())
    lines += ["", f"{len(results)} trainings, {total / 60:.0f} minutes of processor time, worlds included."]
    return "\n".join(lines) + "\n"


def _candidates(results: dict[str, Any], seeds: Sequence[int], noise: Sequence[str]) -> list[str]:
    head = ["noise", "P", "P_imp", "chance", "N", "N_imp", "chance", "P_imp − P", "N_imp − N"]
    rows = []
    for n in noise:

        def at(name: str, n: str = n) -> list[float]:
            return [results[f"ial/{s}"]["purity"][n][name] for s in seeds]

        rows.append([
            n, *(_share(at(k)) for k in ("p", "p_imp", "p_chance", "n", "n_imp", "n_chance")),
            _gain(at("p"), at("p_imp")), _gain(at("n"), at("n_imp")),
        ])  # fmt: skip
    note = (
        "P: share of positives that show the anchor's expression; N: share of negatives that do not. Chance: the "
        "same people at any moment."
    )
    return ["## Purity of the candidates after IAL, %", "", *_table(head, rows), "", note, ""]


def _learned(
    results: dict[str, Any], seeds: Sequence[int], full: dict[str, list[int]], variants: Sequence[str], where: str,
    title: str, note: str,
) -> list[str]:  # fmt: skip
    head = ["learned with", "noise", "mAP, %", "recall@1, %", "identity: recall@1, %", "mAP against L_pre",
            "p", "against its controls"]  # fmt: skip
    rows = []
    for variant in ("base", "ial", "pre"):
        # without a world of its own: measured in each, shown for the first
        n = next(iter(full))
        get = _getter(results, variant, where, n, own=False)
        rows.append([NAMES[variant], "", *(_share([get(kind, m)(s) for s in seeds]) for kind, m in _SHOWN),
                     "", "", ""])  # fmt: skip
    for n, have in full.items():
        for variant in variants:
            get, pre = _getter(results, variant, where, n, own=True), _getter(results, "pre", where, n, own=False)
            mine = [get("expression", "map")(s) for s in have]
            before = [pre("expression", "map")(s) for s in have]
            against = []
            for control in _CONTROLS.get(variant, ()):
                if control in variants:
                    luck = [_getter(results, control, where, n, own=True)("expression", "map")(s) for s in have]
                    p = _p(luck, mine)
                    against.append(f"{NAMES[control]}: {_gain(luck, mine)}" + (f", p = {p}" if p else ""))
            rows.append([
                NAMES[variant], n, *(_share([get(kind, m)(s) for s in have]) for kind, m in _SHOWN),
                _gain(before, mine), _p(before, mine), "; ".join(against),
            ])  # fmt: skip
    return [f"## {title}", "", *_table(head, rows), "", *([note, ""] if note else [])]


NAMES = {
    "base": "base", "ial": "IAL (L_pre)", "pre": "L_pre, as many steps", "total": "L_total",
    "random": "random candidates", "random-positives": "random positives", "unrefined": "unrefined",
    "unrefined-random-positives": "unrefined, random positives", "unrefined-random": "unrefined, random candidates",
}  # fmt: skip
"""Names of variants in the tables."""
_CONTROLS = {"total": ("random-positives", "random"), "unrefined": ("unrefined-random-positives", "unrefined-random")}
_SHOWN = (("expression", "map"), ("expression", "recall_at_1"), ("identity", "recall_at_1"))


def _getter(
    results: dict[str, Any], variant: str, where: str, noise: str, *, own: bool
) -> Callable[[str, str], Callable[[int], float]]:
    def get(kind: str, measure: str) -> Callable[[int], float]:
        def of(seed: int) -> float:
            row = results[f"{variant}/{seed}/{noise}" if own else f"{variant}/{seed}"]
            found = row["held_out"] if where == "held_out" else row["in_world"][noise]
            return float(found[kind][measure])

        return of

    return get


def _accuracy(
    results: dict[str, Any], seeds: Sequence[int], full: dict[str, list[int]], variants: Sequence[str]
) -> list[str]:
    rows = [[NAMES[v], "", _share([results[f"{v}/{s}"]["accuracy"] for s in seeds])] for v in ("base", "ial", "pre")]
    rows += [
        [NAMES[v], n, _share([results[f"{v}/{s}/{n}"]["accuracy"] for s in have])]
        for n, have in full.items() for v in variants
    ]  # fmt: skip
    return ["## Accuracy on labeled images of people never seen, %", "",
            *_table(["learned with", "noise", "accuracy"], rows), ""]  # fmt: skip


def _falling(results: dict[str, Any], full: dict[str, list[int]], variants: Sequence[str]) -> list[str]:
    """Test whether the lead over a control falls with noise, by the slope over the levels for each seed."""
    have = sorted(set.intersection(*map(set, full.values())))
    if len(full) < 3 or len(have) < 2:
        return []
    levels = np.array([float(n) for n in full])
    rows = []
    for variant in variants:
        for control in (c for c in _CONTROLS.get(variant, ()) if c in variants):
            for where, said in (("held_out", "people never seen"), ("in_world", "unlabeled people")):

                def lead(s: int, n: str, pair: tuple[str, str] = (variant, control), where: str = where) -> float:
                    mine, luck = (_getter(results, v, where, n, own=True)("expression", "map")(s) for v in pair)
                    return mine - luck

                slopes = [float(np.polyfit(levels, [lead(s, n) for n in full], 1)[0]) for s in have]
                none = [0.0] * len(slopes)
                rows.append([NAMES[variant], NAMES[control], said, _gain(none, slopes), _p(none, slopes)])
    head = ["learned with", "lead over", "mAP on", "points from noise 0 to 1", "p"]
    return ["## How a lead falls with noise", "", *_table(head, rows), "",
            "The slope of the line through all levels, fitted for each seed.", ""]  # fmt: skip


def _verdicts(
    results: dict[str, Any], seeds: Sequence[int], full: dict[str, list[int]], noise: Sequence[str]
) -> list[str]:
    """Hypotheses fixed beforehand, and whether each holds."""
    lines = ["## What must hold", "", "| | holds |", "|---|---|"]

    def purity(n: str, name: str) -> np.ndarray:
        return np.array([results[f"ial/{s}"]["purity"][n][name] for s in seeds])

    reacting = [n for n in noise if float(n) < 1]
    for name, a, b in (("P", "p", "p_imp"), ("N", "n", "n_imp")):
        worst = min(float((purity(n, b) - purity(n, a)).min()) for n in reacting)
        lines.append(f"| purity({name}_imp) > purity({name}) after IAL, every seed, "
                     f"noise below 1 (least gain {100 * worst:+.1f}) | {_yes(worst > 0)} |")  # fmt: skip
    alone = purity("1", "p") - purity("1", "p_chance")
    low, high = _interval(alone)
    lines.append(f"| purity of P at chance without common reactions (above it by {_points(low, high, alone.mean())}) | "
                 f"{_yes(low <= 0 <= high)} |")  # fmt: skip
    for n, have in full.items():
        mine = [results[f"total/{s}/{n}"]["held_out"]["expression"]["map"] for s in have]
        before = [results[f"pre/{s}"]["held_out"]["expression"]["map"] for s in have]
        test = paired(before, mine)
        better = np.mean(mine) > np.mean(before) and test.p < 0.05
        wanted = "" if float(n) < 1 else " (not expected)"
        lines.append(
            f"| L_total beats L_pre on people never seen, noise {n}{wanted} (p = {test.p:.2g}) | {_yes(better)} |"
        )
    return lines


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(r) + " |" for r in rows)]


def _share(values: Sequence[float]) -> str:
    spread = f" ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.1f}{spread}" if values else ""


def _interval(d: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean of paired differences."""
    if len(d) < 2:
        return math.nan, math.nan
    half = float(stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d)))
    return float(d.mean()) - half, float(d.mean()) + half


def _points(low: float, high: float, mean: float) -> str:
    return f"{100 * mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def _gain(a: Sequence[float], b: Sequence[float]) -> str:
    d = np.asarray(b) - np.asarray(a)
    return _points(*_interval(d), float(d.mean())) if len(d) else ""


def _p(a: Sequence[float], b: Sequence[float]) -> str:
    p = paired(a, b).p
    return "" if math.isnan(p) else f"{p:.2g}"


def _yes(held: object) -> str:
    return "yes" if held else "**no**"
