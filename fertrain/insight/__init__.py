"""Why a run says what it says, and what its features look like: `fertrain explain`.

occlusion, attribution  → explanation, classmaps    parts of a face that an answer needs, by class
attending, embedding    → pictures, sidebyside      attention over candidates and classes, maps of features
"""
