"""The commands of `rmset` and `fertrain`: each parses its arguments, calls one public function, and prints.

Heavy imports are inside functions, so that `--help` is quick.
"""
