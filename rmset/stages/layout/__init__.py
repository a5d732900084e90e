"""Layout proposal: trigger regions, panels and people, to be confirmed by a person.

    looks (sampled frames) -> spans of constant layout -> panels of each span
    -> the panel that behaves like a film is a trigger region; faces that stay in the other panels are people
    -> `layouts/<video_id>.json`

spans       spans of constant layout         film      choice of the trigger panel, by `signs`
watch       faces and motion per panel       people    people per panel, with lasting ids
edit        manual changes                   check     validation
"""

from __future__ import annotations

from rmset.stages.layout.check import LayoutProblem, check
from rmset.stages.layout.config import ProposeConfig
from rmset.stages.layout.edit import edit, is_manual
from rmset.stages.layout.propose import propose

NAME = "layout"

__all__ = ["NAME", "LayoutProblem", "ProposeConfig", "check", "edit", "is_manual", "propose"]
