"""Training methods by name. A new one is a class like these and one entry in `METHODS`."""

from __future__ import annotations

from collections.abc import Callable

from ..config.run import RunConfig
from ..losses.supervised import Scheme
from ..models.classifier import Classifier
from .ada_cm import AdaCm
from .base import AnchorBatch, Batch, Method, Phase, StepOutput, Unlabeled, Views
from .byol import Byol
from .eac import Eac
from .fixmatch import FixMatch
from .flexmatch import FlexMatch
from .freematch import FreeMatch
from .ldl import Ldl
from .mixmatch import MixMatch
from .moco import Moco
from .remixmatch import ReMixMatch
from .rmfer import Rmfer
from .rul import Rul
from .scn import Scn
from .simclr import SimClr
from .simsiam import SimSiam
from .softmatch import SoftMatch
from .supervised import Supervised
from .uda import Uda
from .vac import Vac

__all__ = ["METHODS", "AnchorBatch", "Batch", "Method", "MethodClass", "Phase", "StepOutput", "Unlabeled", "Views"]

MethodClass = Callable[[Classifier, RunConfig, Scheme], Method]
"""Makes a method around a network."""

METHODS: dict[str, MethodClass] = {
    "supervised": Supervised,
    "eac": Eac,
    "ldl": Ldl,
    "rul": Rul,
    "scn": Scn,
    "vac": Vac,
    "rmfer": Rmfer,
    "fixmatch": FixMatch,
    "flexmatch": FlexMatch,
    "freematch": FreeMatch,
    "softmatch": SoftMatch,
    "mixmatch": MixMatch,
    "remixmatch": ReMixMatch,
    "uda": Uda,
    "ada-cm": AdaCm,
    "simclr": SimClr,
    "moco": Moco,
    "byol": Byol,
    "simsiam": SimSiam,
}
