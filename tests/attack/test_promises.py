"""docs/security.md: every promise names a test that exists."""

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs" / "security.md").read_text(encoding="utf-8")
# The table of counts has more columns.
PROMISES = (line for line in PAGE.splitlines() if line.startswith("|") and line.count("|") < 5)
ROWS = [line for line in PROMISES if not re.match(r"\| (promise|-)|\|-", line)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:50])
def test_the_test_of_a_promise_exists(row):
    """A name without a file belongs to the last file named in its row, or to any file that has it."""
    named = re.findall(r"`((?:tests/)?[\w/]*test_\w+(?:\.py)?(?:::\w+)?)`", row.split("|")[2])
    assert named, row
    everything = {path: path.read_text(encoding="utf-8") for path in (TOP / "tests").rglob("test_*.py")}
    for name in named:
        file, _, function = name.partition("::")
        if file.endswith(".py"):
            texts = [text for path, text in everything.items() if path.as_posix().endswith(f"/{file}")]
        else:
            texts, function = list(everything.values()), file
        assert texts, f"{name}: no such file"
        assert not function or any(f"def {function}(" in text for text in texts), f"{name}: no such test"
