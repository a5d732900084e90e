"""Settings of a run, without torch.

run            data, model, optimization: what every method shares
methods        settings of each method
serialization  TOML in and out; settings changed by name
recipes        published settings by name, one TOML file each
"""

from .methods import (
    AdaCmConfig,
    ByolConfig,
    FixMatchConfig,
    MixMatchConfig,
    MocoConfig,
    ReMixMatchConfig,
    RmferConfig,
    SimClrConfig,
    SimSiamConfig,
    UdaConfig,
)
from .run import DataConfig, ModelConfig, OptimConfig, RunConfig, start_for

__all__ = [
    "AdaCmConfig", "ByolConfig", "DataConfig", "FixMatchConfig", "MixMatchConfig", "MocoConfig", "ModelConfig",
    "OptimConfig", "ReMixMatchConfig", "RmferConfig", "RunConfig", "SimClrConfig", "SimSiamConfig", "UdaConfig",
    "start_for",
]  # fmt: skip
