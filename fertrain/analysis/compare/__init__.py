"""Runs against runs.

ablation       seeds × variants -> table
significance   means, spreads, t-tests -> page
cross_dataset  every run on every data set
"""
