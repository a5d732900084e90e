"""Reading a finished root: SQL over its tables, random access to pixels, candidates for pairs.

    catalog, queries, result     one select over the root's tables, and its rows in every form
    guard, mount, spill          what it may not be, files that can only be read, a private folder for what is large
    index, handles, crops        where each picture lies, and its bytes
    arrange, pairs, pairindex    who is a candidate of whom

Nothing here changes a data set. What is written is an index under `state/index`, which can be deleted at any time.
"""
