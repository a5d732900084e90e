"""RMFER (WACV 2024): attention between the images of a batch, then contrast between reacting people.

    base   CE(f_FER(f), y)
    ial    L_pre   = CE(f_FER(f), y) + λ₁ CE(f_IAL(v), y)          equations (1) to (6)
    acl    L_total = L_pre + λ₂ L_ACL                              equation (10)

f: (B, D) features, z = H(f): (B, D), v: (B, D) attended features. At test only f_FER ∘ f_Feat runs. λ₁ = 0 is the
ablation without attention, λ₂ = 0 without contrast; a run without unlabeled images equals λ₂ = 0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .. import ranks
from ..config.methods import RmferConfig
from ..config.run import RunConfig
from ..errors import UnknownNameError
from ..losses.rmfer import SELF_MASKS, acl, attended, cosines, refine
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from ..models.inference import eval_mode
from .base import AnchorBatch, Batch, Phase, StepCache, StepOutput, epochs_of
from .joint import joint_features

PHASES = ("base", "ial", "acl")
_AT_ONCE = 32
"""Candidates scored in one pass. Scoring is in eval mode, so this affects only rounding and memory."""


def projection_head(dim: int) -> nn.Sequential:
    """H: Linear-ReLU-Linear, (B, D) -> (B, D)."""
    return nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))


class Rmfer:
    """Two heads on shared features, a projection between them, and anchors out of RMset in the last phase."""

    def __init__(self, model: Classifier, config: RunConfig, scheme: Scheme) -> None:
        self.settings: RmferConfig = config.rmfer
        if self.settings.self_mask not in SELF_MASKS:
            raise UnknownNameError("self-mask", self.settings.self_mask, SELF_MASKS)
        self.scheme = scheme
        self.model = model
        self.projection = projection_head(model.dim)
        self.ial_head = nn.Linear(model.dim, model.classes)
        self.module = nn.ModuleDict({"model": model, "projection": self.projection, "ial_head": self.ial_head})
        self.phases = self._phases(config)
        self._phase = self.phases[0].name
        self._chosen: StepCache[list[tuple[Tensor, Tensor]]] = StepCache()

    def _phases(self, config: RunConfig) -> tuple[Phase, ...]:
        base, ial, contrast = epochs_of(PHASES, config.optim.epochs)
        o, r = config.optim, self.settings
        # the authors use plain Adam for the attention phase, and SAM for the others
        between = "adam" if o.optimizer == "sam" else o.optimizer
        return (
            Phase("base", base, o.lr, o.optimizer),
            Phase("ial", ial, o.lr * r.ial_lr, between),
            # without the contrast, unlabeled images are not used
            Phase("acl", contrast, o.lr * r.acl_lr, o.optimizer, anchors=r.anchors if r.lambda2 else 0),
        )

    def begin(self, phase: Phase) -> None:
        """Start f_IAL as a copy of the trained f_FER, when attention is first used."""
        if self._phase == "base" and phase.name != "base":
            self.ial_head.load_state_dict(self.model.head.state_dict())
        self._phase = phase.name
        self._chosen.clear()

    def loss(self, batch: Batch) -> StepOutput:
        """Compute the objective of the phase."""
        contrasted = batch.anchors if self._phase == "acl" else ()
        chosen = self._refined(batch) if contrasted else []
        # One pass: if the chosen candidates were normalized by running statistics instead, their gradients would make
        # those statistics wrong, and the network uses them at test (docs/method.md has the figures).
        parts = _parts(contrasted, chosen)
        totals = [len(batch.targets), *(len(part) for part in parts)]
        f, *beside = joint_features(self.model, batch.images, *map(ranks.mine, parts), totals=totals)
        ce = self.scheme.loss(self.model.head(f), batch.targets)
        if self._phase == "base":
            return StepOutput(ce, {"ce": ce.detach()})
        r = self.settings
        loss, logs = ce, {"ce": ce.detach()}
        if r.lambda1:
            v = attended(f, self.projection(f), r.tau, r.self_mask)
            ce_attended = self.scheme.loss(self.ial_head(v), batch.targets)
            loss = loss + r.lambda1 * ce_attended
            logs["ce_ial"] = ce_attended.detach()
        if contrasted:
            contrast = self._contrast(beside, chosen)
            loss = loss + r.lambda2 * contrast
            logs["acl"] = contrast.detach()
        return StepOutput(loss, logs)

    def after_step(self) -> None:
        """Forget the chosen candidates of the step."""
        self._chosen.clear()

    def _contrast(self, beside: list[Tensor], chosen: list[tuple[Tensor, Tensor]]) -> Tensor:
        """L_ACL, averaged over the anchors of the step, from the features of each anchor, its P_imp and its N_imp."""
        losses = []
        for f, (p, _) in zip(beside, chosen, strict=True):
            z = self.projection(f)
            s = cosines(z[0], z[1:])
            losses.append(acl(s[: len(p)], s[len(p) :], self.settings.tau))
        return torch.stack(losses).mean()

    def _refined(self, batch: Batch) -> list[tuple[Tensor, Tensor]]:
        """Choose P_imp and N_imp of each anchor; SAM's second pass reuses the choice."""
        return self._chosen.get(batch, lambda: self._score(batch.anchors))

    def _score(self, anchors: tuple[AnchorBatch, ...]) -> list[tuple[Tensor, Tensor]]:
        gamma = self.settings.gamma
        with eval_mode(self.module):
            # in chunks: all candidates of several anchors together would need more memory than the step itself
            parts = torch.split(torch.cat([a.images for a in anchors]), _AT_ONCE)
            own_z = torch.cat([self.projection(self.model.features(part)) for part in parts])
        sizes = [a.size for a in anchors]
        (z,) = ranks.gathered([own_z], [sum(sizes)])
        chosen = []
        for anchor, own in zip(anchors, torch.split(z, sizes), strict=True):
            s, p = cosines(own[0], own[1:]), anchor.positives
            chosen.append(
                (1 + refine(s[:p], gamma, most_similar=True), 1 + p + refine(s[p:], gamma, most_similar=False))
            )
        return chosen


def _parts(anchors: tuple[AnchorBatch, ...], chosen: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Images of each anchor that get gradients: itself, P_imp, N_imp; of all processes."""
    found, first = [], 0
    for anchor, (p, q) in zip(anchors, chosen, strict=True):
        found.append(torch.cat([first + torch.zeros_like(p[:1]), first + p, first + q]))
        first += anchor.size
    own = torch.cat([a.images for a in anchors]) if anchors else torch.empty(0)
    return [ranks.picked(own, rows, first) for rows in found]
