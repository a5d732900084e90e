"""Pure functions, one paper or one idea a module.

votes     MV, ML, PLD, CEL (FERPlus)
ial, acl  attention and contrast (RMFER)
guessed   learning from guessed labels (FixMatch, UDA, Ada-CM)
mixed     what MixMatch and ReMixMatch are made of
views     two views without labels (SimCLR, MoCo, BYOL, SimSiam)
cosine    label embeddings
"""
