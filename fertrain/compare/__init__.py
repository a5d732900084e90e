"""Runs against runs.

repeat     one setting, several seeds
ablation   seeds × variants  → table
groups     means, spreads, t-tests  → page
cross      every run on every data set
"""
