"""Read access to a finished root: SQL over its tables, random access to pixels, candidates for pairs.

    catalog, queries, result     one select over the root's tables, and its rows in every form
    guard, mount, spill          allowed statements, read-only files, a private folder for large results
    index, handles, crops        position of each picture, and its bytes
    blocks, growing, columns     files of an index, which grow by one video after another
    arrange, pairs, pairindex    candidates of each anchor

Nothing here changes a data set, except an index under `state/index`, which can be deleted at any time.
"""
