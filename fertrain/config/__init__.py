"""Settings of a run, without torch.

run            data, model, optimization: what every method shares
methods        settings of each method
serialization  TOML in and out; settings changed by name
recipes        published settings by name, one TOML file each
"""

from .methods import (
    AdaCmConfig,
    ByolConfig,
    EacConfig,
    FixMatchConfig,
    FlexMatchConfig,
    FreeMatchConfig,
    LdlConfig,
    MixMatchConfig,
    MocoConfig,
    ReMixMatchConfig,
    RmferConfig,
    RulConfig,
    ScnConfig,
    SimClrConfig,
    SimSiamConfig,
    SoftMatchConfig,
    UdaConfig,
    VacConfig,
)
from .run import DataConfig, ModelConfig, OptimConfig, RunConfig, start_for

__all__ = [
    "AdaCmConfig", "ByolConfig", "DataConfig", "EacConfig", "FixMatchConfig", "FlexMatchConfig",
    "FreeMatchConfig", "LdlConfig", "MixMatchConfig", "MocoConfig", "ModelConfig", "OptimConfig",
    "ReMixMatchConfig", "RmferConfig", "RulConfig", "RunConfig", "ScnConfig", "SimClrConfig", "SimSiamConfig",
    "SoftMatchConfig", "UdaConfig", "VacConfig", "start_for",
]  # fmt: skip
