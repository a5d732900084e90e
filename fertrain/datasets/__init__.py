"""Labelled sets and RMset roots: which images, which classes, kept by which rule.

registry            names -> kinds and folders (datasets.toml)
  → ferplus, folder the layouts there are
  → rules           FERPlus votes -> targets
  → labelled        the noun they share: `Split`
  → subsets         label budgets, the held-out part
  → images, stream  pixels by row number; batches in a seeded order
rmset               crops of a root by row, who and when
  → candidates      whom an anchor is compared with; `delays` for one kind of them
  → known           the truth of a generated root, row by row
"""
