"""Settings of layout proposal."""

from __future__ import annotations

from dataclasses import dataclass

from rmset.errors import UsageError


@dataclass(frozen=True)
class ProposeConfig:
    """Settings of layout proposal."""

    samples: int = 12
    """frames of each segment searched for faces"""
    detector: str = "mtcnn"
    """name in `rmset.parts.detect.DETECTORS`"""
    search_height: int = 200
    """panels are shrunk until their shorter side is this, px: enough for one face that fills a part of its panel"""
    min_face: float = 30
    """smallest face searched for at that size, px"""
    edge_samples: int = 18
    """frames of each segment used to find edges of panels"""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.samples < 2 or self.edge_samples < 2 or not 12 <= self.min_face <= self.search_height:
            raise UsageError(
                "expected samples and edge_samples >= 2, and 12 <= min_face <= search_height, found "
                f"{self.samples}, {self.edge_samples}, {self.min_face} and {self.search_height}"
            )
