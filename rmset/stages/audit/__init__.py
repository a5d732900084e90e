"""Audit of a video's layout and tracks after tracking.

a few frames -> faces on the whole screen -> masked? film? found?       `screen`
gaps in a track -> the panel in and beside the gap -> still there?      `gaps`
a few faces of each person -> embeddings -> still the same person?      `identity`
renames that correct identities -> a layout with other ids              `mend`
"""

from __future__ import annotations

from rmset.stages.audit.config import AuditConfig
from rmset.stages.audit.mend import mended
from rmset.stages.audit.run import run

NAME = "audit"

__all__ = ["NAME", "AuditConfig", "mended", "run"]
