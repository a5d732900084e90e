"""Synthetic reaction mashups with ground truth: generated people, panels and expressions.

    photo -> identity -> faces          one public-domain photograph becomes different people with expressions
             script, motion             reactions to the film; motion of heads
    panels: GeneratedPerson | ClipSource | GeneratedFilm      contents of panels
    layouts                             places of panels
    compose                             video of all panels, with the truth in `<stem>.truth.json` beside it
    labeled                             generated faces of other people as a small labeled set
    minds, finish, world                a crowd with chosen noise; a mashup as a finished root; many mashups as a world

    from rmset.synth.compose import compose_demo, compose_clips
    compose_demo(Path("mashup.mp4"), seconds=16, people=8, layout="3x3", seed=0)

This package does not import torch; an exact detector, where the truth needs one, is passed in as a function.
"""
