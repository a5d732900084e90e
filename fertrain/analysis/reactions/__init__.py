"""A root's expressions over time: predictions, synchrony of the people, moments of agreement.

predictions  a run's probabilities of every crop, into the root
synchrony    mean correlation of the people, against shuffled time lines
timeline     mean, spread and agreement at each moment; the strongest moments
pictures     film and faces of a moment; figures of a video
report       `fertrain reactions`: tables, pictures, one page
"""
