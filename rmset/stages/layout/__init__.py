"""Layout proposal: trigger regions, panels and people, to be confirmed by a person.

    looks -> spans of constant layout -> panels in each -> the panel that behaves like a film is removed,
    the faces that stay in the others are people -> `layouts/<video_id>.json`

spans       when the layout changes          film      which panel is the film
watch       what is seen in each panel       people    who sits where, and which id they keep
edit        what a person changes            check     what cannot be
"""

from __future__ import annotations

from rmset.stages.layout.check import LayoutProblem, check
from rmset.stages.layout.config import ProposeConfig
from rmset.stages.layout.edit import edit, is_manual
from rmset.stages.layout.propose import propose

NAME = "layout"

__all__ = ["NAME", "LayoutProblem", "ProposeConfig", "check", "edit", "is_manual", "propose"]
