"""Labelled sets and RMset roots: which images, which classes, kept by which rule.

registry            names -> kinds and folders (datasets.toml); options of each kind
  → ferplus, fer2013, affectnet, rafdb, posed, folder, listed, tables    the layouts there are
  → rules           FERPlus votes -> targets
  → labelled        the noun they share: `Split`
  → subsets         label budgets, the held-out part
  → reported        the split that is counted, under which rule
  → images          pixels by row number
unlabelled          what `--unlabeled` means: crops of a root, the rest of a set, another set
rmset, crops        crops of a root by row, who and when; batches of them for a loop of one's own
  → candidates      whom an anchor is compared with; `delays` for one kind of them
  → known           the truth of a generated root, row by row
align, cropped      photographs cut as RMset's crops are
narrow              classes left out
check, evidence     what is wrong with the files; what class counts say of a label order
"""
