"""Labeled sets: images, classes, splits, and the rules that keep images.

registry     names -> kinds and folders (datasets.toml); the split that is reported; options of each kind
  → ferplus, fer2013, affectnet, rafdb, posed, folder, tables    the layouts
  → vote_rules    FERPlus votes -> targets
  → base     the noun they share: `Split`
  → subsets  label budgets, the held-out part, fewer classes
  → images   pixels by row number
align        photographs cut as RMset's crops are
check        what is wrong with the files; whether class counts fit the label order
"""
