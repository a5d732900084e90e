"""Telemetry of libraries is switched off before they are imported, in every process that imports this package.

OpenVINO contacts an analytics host and writes a client id into the home folder; without its module
`openvino_telemetry` it does neither. Other libraries read environment variables, which child processes inherit. Values
set by the user are kept.
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
    """Switch telemetry off for this process and its children."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # None makes `import openvino_telemetry` fail; OpenVINO then uses a stub.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
