"""Reaction mashups with known truth: people, panels and expressions that are made rather than found.

    photo -> identity -> faces          one public-domain photograph becomes different people with expressions
             script, motion             what the film does to them, and how they sit
    panels: GeneratedPerson | ClipSource | GeneratedFilm      what fills a panel
    layouts                             where the panels are
    compose                             everything on one screen, encoded, with `<stem>.truth.json` beside it
    labeled                             the same faces as a small labeled set
    minds, finish, world                a crowd with chosen noise; a mashup as a finished root; many of them, to measure

    from rmset.synth.compose import compose_demo, compose_clips
    compose_demo(Path("mashup.mp4"), seconds=16, people=8, layout="3x3", seed=0)

No torch here; where an exact detector is needed for the truth, it is passed in as a function.
"""
