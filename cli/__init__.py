"""The command lines `rmset` and `fertrain`: each command parses, calls one public function, and prints.

Nothing heavy is imported at the top of these modules, so that `--help` answers at once.
"""
