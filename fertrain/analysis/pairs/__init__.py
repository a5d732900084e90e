"""Quality of candidates: as a finished run sees them and, where the truth is known, as they are.

purity     how many of P, P_imp, N, N_imp are correct; agreement by distance in time and by pair of people
retrieval  the same expression in other people, and identity, by features
delays     how much later than others each person reacts
  → quality, plots    all of it for one run and one root: `fertrain pairs-quality`
"""
