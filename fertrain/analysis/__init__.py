"""Analysis of finished runs.

compare     seeds × variants into one table; significance; runs across data sets
pairs       what candidates are worth
explain     saliency, attention, maps of features
annotators  how many taggers a face needs
"""
