"""Losses as pure functions.

supervised    MV, ML, PLD, CEL (FERPlus); cosine loss on label embeddings
rmfer         attention and contrast (RMFER)
pseudo_label  guessed labels (FixMatch, UDA, Ada-CM, MixMatch, ReMixMatch)
contrastive   two views without labels (SimCLR, MoCo, BYOL, SimSiam)
"""
