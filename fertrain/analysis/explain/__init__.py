"""Explanations of runs: `fertrain explain`.

saliency                the parts of a face that decide a prediction, by class
attention, feature_map  attention over candidates and classes, features on a plane
  → side_by_side, figures    several runs beside each other
"""
