"""The documents are true: the tutorial runs, the reference is the commands' own help, links lead somewhere."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
FOLDERS = ("", "docs/", "manifests/", "benchmarks/results/")
PAGES = sorted(page for folder in FOLDERS for page in REPOSITORY.glob(f"{folder}*.md"))


def test_every_command_of_the_tutorial_runs(tmp_path, monkeypatch):
    text = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    assert len(lines) > 10
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    script = "set -euo pipefail\n" + "\n".join(lines)
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_reference_is_generated_from_the_commands(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY))
    from docs.generate import reference

    written = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == reference(), "run `make docs`"


def python_blocks():
    for page in PAGES:
        blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        if blocks:
            yield pytest.param(blocks, id=page.name, marks=[pytest.mark.slow] if len(blocks) > 3 else [])


@pytest.mark.parametrize("blocks", list(python_blocks()))
def test_python_in_the_documents_runs(blocks, workplace, tmp_path, monkeypatch):
    """Block by block, in the order of the page, in one namespace."""
    shutil.copytree(workplace, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    known: dict = {"__name__": "__main__"}
    for block in blocks:
        needed = re.findall(r"^(?:import|from) (\w+)", block, flags=re.MULTILINE)
        if missing := [name for name in needed if find_spec(name) is None]:
            assert missing == ["datasets"], "the only extra that a document's block may need"
            continue
        exec(compile(block, "document", "exec"), known)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_links_lead_to_files_that_are_there(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
