"""MkDocs hooks: benchmarks/results and CHANGELOG.md become pages, with links that work on GitHub and in the site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).parents[1]


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages that lie outside docs/."""
    for page in [REPOSITORY / "CHANGELOG.md", *sorted(REPOSITORY.glob("benchmarks/results/*.md"))]:
        name = page.relative_to(REPOSITORY).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(page)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Rewrite links between docs/ and the rest of the repository: in the site docs/ is the top."""
    if page.file.src_uri.startswith("benchmarks/results/"):
        return markdown.replace("](../../docs/", "](../../")
    if "/" not in page.file.src_uri:
        return markdown.replace("](../benchmarks/results/", "](benchmarks/results/").replace("](docs/", "](")
    return markdown
