"""No telemetry of libraries: switched off before they are imported, in every process that imports this package.

OpenVINO's package asks an analytics host and writes a client's id into the home folder; without its module
`openvino_telemetry` it does neither. Others read the environment, which processes that are started inherit. What a user
has set stays.
"""

from __future__ import annotations

import os
import sys

_ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "WANDB_ERROR_REPORTING": "false",
}


def opt_out() -> None:
    """Switch it off for this process and those that it starts."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # None makes `import openvino_telemetry` fail, which OpenVINO expects and takes a stub for.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
