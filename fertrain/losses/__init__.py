"""Losses as pure functions of tensors, for any training loop. They need torch and nothing else.

supervised    MV, ML, PLD, CEL (FERPlus); cosine loss on label embeddings
rmfer         attention and contrast (RMFER)
pseudo_label  guessed labels (FixMatch, FlexMatch, FreeMatch, SoftMatch, UDA, Ada-CM, MixMatch, ReMixMatch)
contrastive   two views without labels (SimCLR, MoCo, BYOL, SimSiam)
label_noise   attention consistency, relative uncertainty, ranks, distributions (EAC, VAC, RUL, SCN, LDL)
"""

from .contrastive import disagreement, info_nce, nt_xent
from .label_noise import (
    attention_maps,
    divergence,
    flip_consistency,
    mix_by_uncertainty,
    neighbor_distance,
    rank_regularization,
    relabeled,
    scale_consistency,
)  # fmt: skip
from .pseudo_label import (
    align_distribution,
    brier,
    confident_cross_entropy,
    curriculum_thresholds,
    fairness,
    sharpen,
    sharpened_divergence,
    truncated_gaussian,
    weighted_cross_entropy,
)  # fmt: skip
from .rmfer import acl, attended, attention, cosines, refine, similarity
from .supervised import cel as ferplus_cel
from .supervised import cosine as embedding_cosine
from .supervised import ml as ferplus_ml
from .supervised import mv as ferplus_mv
from .supervised import pld as ferplus_pld

__all__ = [
    "acl", "align_distribution", "attended", "attention", "attention_maps", "brier", "confident_cross_entropy",
    "cosines", "curriculum_thresholds", "disagreement", "divergence", "embedding_cosine", "fairness",
    "ferplus_cel", "ferplus_ml", "ferplus_mv", "ferplus_pld", "flip_consistency", "info_nce",
    "mix_by_uncertainty", "neighbor_distance", "nt_xent", "rank_regularization", "refine", "relabeled",
    "scale_consistency", "sharpen", "sharpened_divergence", "similarity", "truncated_gaussian",
    "weighted_cross_entropy",
]  # fmt: skip
