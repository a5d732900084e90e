"""A second opinion on layout and tracks, asked of each video after tracking; it changes neither.

a few frames -> faces on the whole screen -> masked? film? found?        `screen`
stretches without a person -> their panel there    -> still sits there?     `gaps`
a few faces of each person -> embeddings -> still the same person?      `identity`
what would put identities right -> a layout with other ids              `mend`
"""

from __future__ import annotations

from rmset.stages.audit.mend import mended
from rmset.stages.audit.run import AuditConfig, run

NAME = "audit"

__all__ = ["NAME", "AuditConfig", "mended", "run"]
