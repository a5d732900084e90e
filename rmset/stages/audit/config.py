"""Settings of the audit."""

from __future__ import annotations

from dataclasses import dataclass, field

from rmset.errors import UsageError
from rmset.fields import LATER
from rmset.parts import identity as embedders


@dataclass(frozen=True)
class AuditConfig:
    """Settings of the audit."""

    every: int = 300
    """every how many frames one is searched for faces"""
    fewest: int = 3
    """fewest frames searched per segment, if it has that many"""
    again: int = 8
    """further frames searched in a segment with a face where none should be"""
    faces: int = 12
    """most faces compared per person and segment"""
    least_face: float = 28
    """height of the smallest face compared, px"""
    least_score: float = 0.9
    """least detector score of a face compared"""
    embedder: str = embedders.NONE
    """`dlib`, a file that ends in .onnx or .pt, or `none`; `auto` is resolved by the command line"""
    mend: bool = field(default=True, metadata=LATER)
    """whether ids are corrected in a proposed layout, and the video tracked again, where tracking goes before"""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.every < 1 or self.fewest < 1 or self.again < 0 or self.faces < 4:
            raise UsageError("expected every and fewest of 1 or more, again of 0 or more and faces of 4 or more")
        embedders.resolve(self.embedder)
