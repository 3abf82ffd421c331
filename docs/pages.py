"""Make pages of the docs in build/docs: `make docs`. Notebooks are run for it, so they show what they give today.

Pages lie as their sources do in the repository, and links between sources become links between pages.
"""

import asyncio
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from docs.notebooks import ALONE, TOGETHER, run

ROOT: Final = Path(__file__).parent.parent
BUILT: Final = ROOT / "build" / "docs"
_LINK: Final = re.compile(r"(\]\((?!\w+:)[^)#\s]+)\.(?:md|ipynb)(?=[)#])")
"""A link to another source: not to a site, with or without a place in it."""
_DARK: Final = re.compile(r'^ *<source media="\(prefers-color-scheme: dark\)".*\n', re.MULTILINE)
"""A picture for the dark: the pages are light, whatever the reader's system."""
_STYLE: Final = """
.jp-RenderedMarkdown .highlight { margin: 0 0 1em; }
.jp-RenderedMarkdown .highlight pre { background: #f5f6f8; padding: 8px 12px; overflow-x: auto; white-space: pre; }
.jp-RenderedMarkdown :is(img, picture) { max-width: 100%; }
"""
"""What the exporter leaves out: code that stands apart from text, and scrolls instead of wrapping."""


def main() -> None:
    """Make all pages anew."""
    shutil.rmtree(BUILT, ignore_errors=True)
    for path in sources():
        write(path.relative_to(ROOT), _markdown(path))
    shutil.copytree(ROOT / "docs" / "pictures", BUILT / "docs" / "pictures")
    shared = os.environ.get("COLONNADE_SHARED", str(ROOT.parent / "shared"))
    for names in (*((name,) for name in ALONE), TOGETHER):
        print(f"Running the notebook {' and '.join(names)} ...")
        with TemporaryDirectory() as folder:
            books = asyncio.run(run(names, Path(folder), {"COLONNADE_SHARED": shared}))
        for name, book in zip(names, books, strict=True):
            write(Path("notebooks") / f"{name}.ipynb", book)
    print(f"Open {(BUILT / 'README.html').relative_to(ROOT)}.")


def sources() -> Iterator[Path]:
    """The Markdown that people read."""
    yield from ROOT.glob("*.md")
    yield from (ROOT / "docs").rglob("*.md")


def write(source: Path, book: Any) -> None:
    """Make the page of one source, which is named as it is in the repository."""
    import nbconvert

    for cell in book.cells:
        if cell.cell_type == "markdown":
            cell.source = _DARK.sub("", _LINK.sub(r"\1.html", cell.source))
    html, _ = nbconvert.HTMLExporter().from_notebook_node(book, resources={"metadata": {"name": source.stem}})
    html = html.replace("</head>", f"<style>{_STYLE}</style></head>", 1)
    page = (BUILT / source).with_suffix(".html")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(html, encoding="utf-8")


def _markdown(path: Path) -> Any:
    """A file of Markdown as a notebook of one cell: one exporter makes all pages, and all look alike."""
    from nbformat import v4

    made: Any = v4
    return made.new_notebook(cells=[made.new_markdown_cell(path.read_text(encoding="utf-8"))])


if __name__ == "__main__":
    main()
