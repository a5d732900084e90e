"""The commands of `rmset`, one module per family."""
