"""Runs against runs.

ablation       seeds × variants -> table
people         worlds by seed -> tuned rates -> runs -> table, on people never seen
significance   means, spreads, t-tests -> page
cross_dataset  every run on every data set
"""
