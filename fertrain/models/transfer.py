"""Initialize a network from a weights file: containers, prefixes, position tables, heads. Every choice is reported.

    file → one state dict of it → names without their prefix → position tables resampled (timm) → tensors that fit

A file that covers less than half of the network's parameters is refused as another network's.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rmset.errors import UsageError

from ..errors import LabelError, WeightsError
from ..labels import permutation
from .checkpoint_file import read_checkpoint
from .classifier import Classifier
from .weights import labels_in

LEAST = 0.5
"""Share of the network's parameters that a file must cover, unless partial weights are allowed."""
HEAD = re.compile(r"(?:.+\.)?(?:head|fc|fc2|classifier|last_linear|linear|logits)(?:\.fc|\.\d+)?\.weight")
"""Names of the output layer in timm, torchvision and published FER models."""
_WRAPPERS = ("module", "_orig_mod")
_EXAMPLES = 3


@dataclass(frozen=True)
class Loaded:
    """Report of loaded and unused tensors."""

    used: int
    """Number of the network's tensors loaded from the file."""
    left: int
    """Number of the network's tensors that keep their initial values."""
    head: bool
    """Whether the head was loaded."""
    share: float = 1.0
    """Share of the network's parameters, without the head, loaded from the file; 0 to 1."""
    part: str = ""
    """Key of the state dict that was read: `ema_model`, `state_dict` …; empty if there is only one."""
    prefix: str = ""
    """Prefix removed from the names in the file."""
    others: tuple[str, ...] = ()
    """Other state dicts or prefixes of the file that would also fit."""
    missing: tuple[str, ...] = ()
    """Parameters of the network that are not in the file."""
    unused: tuple[str, ...] = ()
    """Tensors of the file that the network lacks."""
    resampled: tuple[str, ...] = ()
    """Position tables resampled to this image size, as in timm."""
    foreign_head: str = ""
    """A head in the file that is not used, because its classes are unknown or different."""

    def lines(self, file: Path | str) -> list[str]:
        """Return the report as lines for the user."""
        head = "head included" if self.head else "head starts untrained"
        lines = [f"{file}: {self.used} tensors used, {self.left} keep their start, {head}"]
        if self.part or self.prefix:
            where = " ".join(f"'{name}'" for name in (self.part, self.prefix) if name)
            other = f"; {', '.join(self.others)} would fit too: `model.weights_part`" if self.others else ""
            lines.append(f"{file}: read under {where}{other}")
        if self.resampled:
            lines.append(f"{file}: resampled for this image size: {_some(self.resampled)}")
        if self.missing:
            lines.append(f"{file}: {self.share:.0%} of the parameters; not in the file: {_some(self.missing)}")
        if self.unused:
            lines.append(f"{file}: not used: {_some(self.unused)}")
        if self.foreign_head:
            lines.append(
                f"{file}: its head {self.foreign_head} is not used, as nothing says that its outputs mean these "
                "classes; `fertrain convert … --labels a,b,c` writes it down"
            )
        return lines

    def record(self) -> dict[str, Any]:
        """Return the report for a run's config.toml."""
        kept = {k: v for k, v in asdict(self).items() if k in ("used", "left", "head", "part", "prefix")}
        return {**kept, "share": round(self.share, 4), "missing": list(self.missing), "resampled": list(self.resampled)}


def load_into(
    model: Classifier, path: Path, labels: tuple[str, ...], *, part: str | None = None, partial: bool = False
) -> Loaded:
    """Initialize a network from a file: tensors that match by name and shape are loaded.

    A head is loaded only if the file names its classes; it is permuted to `labels` by name.

    Args:
        model: the network; it is changed.
        path: safetensors, or a `torch.save` file of tensors.
        labels: class of each output.
        part: state dict or prefix in the file, if it holds several.
        partial: also accept a file that covers less than half of the parameters.

    Raises:
        WeightsError: the file covers less than half of the network's parameters.
        UsageError: there is no such part.
    """
    checkpoint = read_checkpoint(path)
    features = model.features
    own = features.state_dict()
    fits = [
        (kind, prefix, numel)
        for kind, tensors in checkpoint.parts.items()
        for prefix, numel in _prefixes(tensors, own).most_common()
    ]
    if part is not None:
        fits = [fit for fit in fits if part in (fit[0], fit[1], fit[1].rstrip("."))]
        if not fits:
            known = sorted({name for kind, _ in checkpoint.parts.items() for name in (kind,) if name})
            raise UsageError(f"expected a part of {path} for `model.weights_part`, found '{part}'; {_known(known)}")
    most = max((numel for _, _, numel in fits), default=0)
    # the first of those that fit equally: state dicts are ordered by preference
    best = [fit for fit in fits if fit[2] == most]
    kind, prefix, _ = best[0] if best else (next(iter(checkpoint.parts)), "", 0)
    tensors = {_unwrapped(name).removeprefix(prefix): t for name, t in checkpoint.parts[kind].items()}
    tensors, resampled = _resampled(features, tensors)
    fitting = {name: t for name, t in tensors.items() if name in own and own[name].shape == t.shape}
    parameters = {name: p.numel() for name, p in features.named_parameters()}
    missing = tuple(name for name in parameters if name not in fitting)
    share = 1 - sum(parameters[name] for name in missing) / max(sum(parameters.values()), 1)
    unused = tuple(
        name
        for name in checkpoint.parts[kind]
        if (plain := _unwrapped(name)).startswith(prefix) and plain.removeprefix(prefix) not in fitting
    )
    if share < LEAST and not (partial and fitting):
        raise WeightsError(_other_network(model, path, len(fitting), share, missing, unused))
    head = _head(checkpoint.parts[kind], checkpoint.meta, labels, path)
    state = {f"features.{name}": tensor for name, tensor in fitting.items()}
    whole = model.state_dict()
    if head is not None and "head.weight" in whole and head["head.weight"].shape == whole["head.weight"].shape:
        state |= head
    model.load_state_dict(state, strict=False)
    heads = [name for name in checkpoint.parts[kind] if HEAD.fullmatch(name) and name.removeprefix(prefix) in unused]
    heads = heads or [name for name in unused if HEAD.fullmatch(name)]
    taken = "head.weight" in state
    return Loaded(
        len(state), len(whole) - len(state), taken, share, kind, prefix if prefix != "features." else "",
        tuple(dict.fromkeys(f"{k} {p}".strip() for k, p, _ in best[1:])), missing,
        tuple(name for name in unused if not (HEAD.fullmatch(name) or _is_head_bias(name))), tuple(resampled),
        "" if taken or not heads else heads[-1],
    )  # fmt: skip


def _known(names: Sequence[str]) -> str:
    return f"it holds {', '.join(names)}" if names else "it holds one state dict only"


def _is_head_bias(name: str) -> bool:
    return name.endswith(".bias") and HEAD.fullmatch(name.removesuffix("bias") + "weight") is not None


def _unwrapped(name: str) -> str:
    """Remove the prefixes of `DataParallel` and `torch.compile`: "module._orig_mod.fc.bias" -> "fc.bias"."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _prefixes(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Counter[str]:
    """Count the network's parameters that a file covers under each prefix of its names; counters are ignored."""
    found: Counter[str] = Counter()
    for name, tensor in tensors.items():
        parts = _unwrapped(name).split(".")
        for start in range(len(parts)):
            rest = ".".join(parts[start:])
            if rest in own and own[rest].ndim > 0 and own[rest].shape == tensor.shape:
                found["".join(f"{part}." for part in parts[:start])] += tensor.numel()
    return found


def _resampled(features: nn.Module, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Adapt tensors of another image size by the network's own timm filter; the others are unchanged."""
    own = features.state_dict()
    misfits = [name for name, tensor in tensors.items() if name in own and own[name].shape != tensor.shape]
    filtered = getattr(sys.modules[type(features).__module__], "checkpoint_filter_fn", None)
    if not misfits or filtered is None:
        return tensors, []
    try:
        with torch.no_grad():
            made = filtered(dict(tensors), features)
    except Exception:
        # filters fail on tensors of other networks; those are not needed
        return tensors, []
    fit = [name for name in misfits if name in made and made[name].shape == own[name].shape]
    return {**tensors, **{name: made[name] for name in fit}}, fit


def _other_network(
    model: Classifier, path: Path, used: int, share: float, missing: Sequence[str], unused: Sequence[str]
) -> str:
    found = f"{share:.0%} of its parameters" if used else f"{len(unused)} tensors that fit none of its parameters"
    return (
        f"expected weights of {model.name} in {path}, found {found}; without a value: {_some(missing)}; without "
        f"a place: {_some(unused) or 'none'}; name the model they belong to with `model.name`"
        + (", or take what fits with `model.weights_partial=True`" if used else "")
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _EXAMPLES} more" if len(names) > _EXAMPLES else ""
    return ", ".join(names[:_EXAMPLES]) + more


def _head(
    tensors: Mapping[str, Tensor], meta: Mapping[str, str], labels: tuple[str, ...], path: Path
) -> dict[str, Tensor] | None:
    if "labels" not in meta or "head.weight" not in tensors:
        return None
    try:
        named = labels_in(meta["labels"], path)
        rows = permutation(named, labels)
    except (LabelError, WeightsError):
        return None  # other classes, or unreadable labels: keep the fresh head
    bias = tensors.get("head.bias")
    if tensors["head.weight"].shape[:1] != (len(named),) or bias is None or bias.shape != (len(named),):
        return None  # labels of another head
    return {"head.weight": tensors["head.weight"][rows], "head.bias": tensors["head.bias"][rows]}
