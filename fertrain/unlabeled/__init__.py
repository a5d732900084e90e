"""Unlabeled images: crops of a root, the rest of a labeled set, or another set.

sources          values of `--unlabeled`
crops            crops of a root by row: person, frame, pixels
  → candidates   positives and negatives of an anchor
loader           crops for your own training loop
ground_truth     the truth of a generated root, row by row
scripted_mashup  a root made of labeled images, whose truth is known
"""
