"""Evaluation of a finished network.

metrics   accuracy, calibration, agreement with votes
calibration  temperature scaling
evaluate  a network or a run on a split; check that predictions do not depend on the batch
slices, corruptions, model_card   parts of a split, corrupted images; what was measured, as text
features  features and probabilities of a run, row by row
predict   faces of pictures and frames, in batches
faces     pictures, videos whose people are followed, roots; smooth, tables, overlay: what becomes of them
probe     linear probe and nearest neighbors on frozen features
report, plots, html    one page per run
"""
