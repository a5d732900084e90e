"""Flags, types, defaults and exit codes of every command stay as users' scripts need them.

`python tests/test_cli_flags.py` rewrites the snapshot after intended changes.
"""

import json
from pathlib import Path

from typer.main import get_command

from rmset_cli.fertrain.app import app as fertrain
from rmset_cli.rmset.app import app as rmset

SNAPSHOT = Path(__file__).parent / "cli_flags.json"


def commands(group, words):
    """Every command under a group with its words."""
    yield words, group
    for name, child in getattr(group, "commands", {}).items():
        yield from commands(child, (*words, name))


KINDS = {int: "int", float: "float", bool: "bool"}


def described(parameter):
    """Properties that scripts rely on: flags, value types and defaults."""
    default = parameter.default() if callable(parameter.default) else parameter.default
    return {
        "flags": [*parameter.opts, *parameter.secondary_opts],
        "takes": KINDS.get(parameter.type_descriptor.annotation, "text"),
        "required": parameter.required,
        "multiple": getattr(parameter, "multiple", False) or parameter.nargs != 1,
        "default": default if default is None or isinstance(default, (bool, int, float, list)) else str(default),
        "shown": parameter.show_default if isinstance(getattr(parameter, "show_default", None), str) else None,
    }


def snapshot():
    """All commands of both programs."""
    return {
        " ".join(words): sorted((described(p) for p in command.params), key=lambda d: d["flags"])
        for name, app in (("rmset", rmset), ("fertrain", fertrain))
        for words, command in commands(get_command(app), (name,))
    }


def test_flags_types_and_defaults_are_those_that_scripts_rely_on():
    """New options and new spellings of flags may be added; existing ones stay."""
    now = snapshot()
    for command, parameters in json.loads(SNAPSHOT.read_text(encoding="utf-8")).items():
        found = {flag: p for p in now[command] for flag in p["flags"]}
        for known in parameters:
            for flag in known["flags"]:
                assert flag in found, f"{command}: {flag} is gone"
                same = {"flags": known["flags"]} | ({"shown": None} if known["shown"] is None else {})
                assert {**found[flag], **same} == known, f"{command}: {flag} has changed"


if __name__ == "__main__":
    lines = (
        f'"{words}": [\n' + ",\n".join(f" {json.dumps(p, ensure_ascii=False)}" for p in parameters) + "\n]"
        for words, parameters in snapshot().items()
    )
    SNAPSHOT.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
