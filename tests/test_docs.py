"""The documentation is correct: the tutorial runs, the reference is the commands' own help, links have targets."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name

import pytest

REPOSITORY = Path(__file__).parent.parent
FOLDERS = ("", "docs/", "manifests/", "benchmarks/results/")
PAGES = sorted(page for folder in FOLDERS for page in REPOSITORY.glob(f"{folder}*.md"))


@pytest.mark.slow
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


def anchors(page):
    """Anchors of headings, as made by GitHub."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_links_lead_to_files_and_headings_that_are_there(page):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            there = page.parent / target if target else page
            assert there.exists(), f"{page.name} links to {target}"
            assert not anchor or anchor in anchors(there), f"{page.name} links to {target}#{anchor}"


def test_the_index_leads_to_every_page():
    text = (REPOSITORY / "docs" / "index.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\((\w[\w-]*\.md)\)", text))
    assert linked == {page.name for page in REPOSITORY.glob("docs/*.md")} - {"index.md"}


def test_the_site_builds_strictly_and_takes_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("mkdocs", reason="the extra docs")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for page in [*tmp_path.rglob("*.html"), *tmp_path.rglob("*.css")]:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(
            r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"']?https?:[^>]*>|url\(https?:[^)]*\)", text
        )
        assert not loaded, f"{page.name} loads {loaded}"
        prose = re.sub(r"<pre.*?</pre>", "", text, flags=re.DOTALL)
        assert not re.search(r"^(\* |\|[ -])", prose, flags=re.MULTILINE), (
            f"{page.name}: a list or table is not rendered"
        )


@pytest.fixture(scope="module")
def known():
    """Every command of both programs by its words."""
    from typer.main import get_command

    from docs.generate import programs

    def below(command, words):
        yield " ".join(words), command
        for name, child in getattr(command, "commands", {}).items():
            yield from below(child, (*words, name))

    return {words: command for name, app in programs().items() for words, command in below(get_command(app), (name,))}


def written_commands(page):
    """Lines of fenced blocks that begin with one of the two programs, continued lines joined."""
    for block in re.findall(r"```(?:console|sh)?\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
        joined = re.sub(r"\\?\n {4,}", " ", block)
        yield from re.findall(r"^(?:\$ )?((?:rmset|fertrain) \S.*)$", joined, flags=re.MULTILINE)


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "cli.md"], ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_written_commands_have_names_and_options_of_the_program(page, known):
    for line in written_commands(page):
        words = re.sub(r"\$\(.*?\)|[#|].*", "", line).split()
        # options of the program itself come before the command, each with a value
        own = {flag for p in known[words[0]].params for flag in p.opts if not getattr(p, "is_flag", False)}
        while len(words) > 2 and words[1] in own:
            del words[1:3]
        name = " ".join(words[: next(n for n in (3, 2, 1) if " ".join(words[:n]) in known)])
        options = {flag for p in known[name].params for flag in (*p.opts, *p.secondary_opts)} | {"--help"}
        used = {word.split("=")[0].strip("[]`") for word in words if re.fullmatch(r"\[?--?[a-z][\w-]*(=.*)?\]?", word)}
        rest = words[len(name.split()) :]
        is_group = bool(getattr(known[name], "commands", None))
        assert not (is_group and rest and not rest[0].startswith("-")), f"{page.name}: no command in {line}"
        assert used <= options, f"{page.name}: {line}"


def prose(page):
    """The text of a page without its fenced blocks, line breaks inside code spans joined."""
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL).replace("\n", " ")


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "cli.md"], ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_commands_in_sentences_have_names_and_options_of_the_program(page, known):
    for span in re.findall(r"`((?:rmset|fertrain) [a-z][^`]*)`", prose(page)):
        words = re.sub(r"[…|].*", "", span).split()
        name = next((" ".join(words[:n]) for n in (3, 2) if " ".join(words[:n]) in known), None)
        assert name, f"{page.name}: no command in {span}"
        flags = {flag for p in known[name].params for flag in (*p.opts, *p.secondary_opts)} | {"--help"}
        used = {word.split("=")[0].strip("[]") for word in words if re.fullmatch(r"\[?--?[a-z][\w-]*(=.*)?\]?", word)}
        assert used <= flags, f"{page.name}: {span}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_other_commands_name_what_is_there(page):
    text = page.read_text(encoding="utf-8")
    for module in re.findall(r"python -m (benchmarks(?:\.\w+)+)", text):
        assert (REPOSITORY / f"{module.replace('.', '/')}.py").is_file(), f"{page.name}: python -m {module}"
    targets = set(
        re.findall(r"^([a-z][\w-]*):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    for target in re.findall(r"(?:^|`)make ([a-z][\w-]*)", text, flags=re.MULTILINE):
        assert target in targets, f"{page.name}: make {target}"
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extras in re.findall(r"rmset\[([a-z,]+)\]", text):
        assert set(extras.split(",")) <= set(project["optional-dependencies"]), f"{page.name}: rmset[{extras}]"


def test_console_blocks_stand_only_where_they_are_run():
    assert [p.name for p in PAGES if "```console" in p.read_text(encoding="utf-8")] == ["tutorial.md"]


def test_the_python_of_each_command_is_there(known):
    from docs.twins import TWINS

    assert set(TWINS) <= set(known)
    single = {name for name, command in known.items() if not getattr(command, "commands", None)}
    assert single - set(TWINS) == {"rmset demo"}, "give each new command its line in docs/twins.py"
    for code, anchor in TWINS.values():
        if anchor is None:
            assert callable(resolve_name(code)), code
        else:
            assert anchor in anchors(REPOSITORY / "docs" / "python.md"), anchor


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "CHANGELOG.md"], ids=lambda p: p.name)
def test_functions_named_in_the_documents_are_there(page):
    for name in re.findall(r"`((?:rmset|fertrain)(?:\.\w+)+)", prose(page)):
        if not name.endswith((".toml", ".json", ".parquet")):
            assert resolve_name(name) is not None, f"{page.name}: {name}"


def test_the_architecture_names_every_module_under_its_package():
    text = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    command_line = text.index("## The command line")
    chapters = {
        "rmset": text[text.index("## The floors of `rmset`") : text.index("## The layers of `fertrain`")],
        "fertrain": text[text.index("## The layers of `fertrain`") : command_line],
        "cli": text[command_line:],
    }
    for top, chapter in chapters.items():
        named = {top, *re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", chapter)))}
        modules = {p.parent.name if p.stem == "__init__" else p.stem for p in (REPOSITORY / top).rglob("*.py")}
        assert modules <= named, f"{top}: {sorted(modules - named)}"
