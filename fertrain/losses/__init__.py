"""Pure functions, one paper a module: `votes` (FERPlus), `ial` and `acl` (RMFER)."""
