"""Reading a finished root: SQL over its tables, random access to pixels, candidates for pairs.

    catalog, guard, queries      one select over the root's tables, and what it may not be
    index, handles, crops        where each picture lies, and its bytes
    arrange, pairs, pairindex    who is a candidate of whom

Nothing here changes a data set. What is written is an index under `state/index`, which can be deleted at any time.
"""
