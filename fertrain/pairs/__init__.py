"""What candidates are worth: as a finished run sees them and, where a world's truth is known, as they are.

purity     how many of P, P_imp, N, N_imp are what they should be
nearness   agreement by distance in time and by pair of people
retrieval  the same expression in other people, and identity, by features
delays     who reacts how much later than whom
  → quality, plots    all of it for one run and one root: `fertrain pairs-quality`
"""
