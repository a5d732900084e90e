"""Analysis of finished runs.

compare     seeds × variants into one table; significance; runs across data sets
pairs       quality of candidates: agreement, refinement, delays
explain     saliency, attention, maps of features
annotators  agreement by number of taggers
"""
