"""Reading a finished root: SQL over its tables, random access to pixels, candidates for pairs. Nothing here writes."""
