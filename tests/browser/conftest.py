"""A real browser, for what only a browser can say: that text is text, that pictures are quick, clear and accessible."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""Where a browser is, if there is one: on Debian, `apt-get install chromium` puts it there."""

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

Open = Callable[..., Any]
"""Opens HTML in the browser: ``open(html, dark=True)`` gives a Playwright page."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window, for the tests of one module.

    Not longer: an event loop runs in this thread meanwhile, and tests that come later in it could await nothing.
    """
    missing = "" if find_spec("playwright") else "playwright is not installed: pip install playwright"
    missing = missing or ("" if CHROMIUM else "no browser: install chromium (apt-get install chromium)")
    if missing:
        if os.environ.get("COLONNADE_REQUIRE_STORES") == "all":
            pytest.fail(missing)
        pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        with closing(launched):
            yield launched


@pytest.fixture
def open_html(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens HTML as a page; what its scripts would do to the world is written down in ``page.happened``."""
    with ExitStack() as stack:

        def opened(html: str, *, dark: bool = False, width: int = 900, name: str = "page") -> Any:
            file = tmp_path / f"{name}.html"
            file.write_text(html, encoding="utf-8")
            context = browser.new_context(
                color_scheme="dark" if dark else "light", viewport={"width": width, "height": 700}
            )
            stack.enter_context(closing(context))
            page: Any = context.new_page()
            happened: list[str] = []
            page.happened = happened

            page.on("dialog", lambda dialog: _dismissed(dialog, happened))
            page.on("pageerror", lambda error: happened.append(f"error: {error}"))
            page.on("console", lambda message: happened.append(f"console: {message.text}"))
            page.on("request", lambda request: _told(request.url, file, happened))
            page.goto(file.as_uri())
            return page

        yield opened


def _dismissed(dialog: Any, happened: list[str]) -> None:
    happened.append(f"dialog: {dialog.message}")
    dialog.dismiss()


def _told(url: str, file: Path, happened: list[str]) -> None:
    if url != file.as_uri() and not url.startswith("data:"):
        happened.append(f"request: {url}")


@pytest.fixture
def accessible() -> Callable[[Any], list[str]]:
    """What axe finds wrong with a page, a line each: the rules of WCAG 2.2 A and AA, and best practices."""
    from axe_playwright_python.sync_playwright import Axe

    def found(page: Any) -> list[str]:
        options = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
        violations = Axe().run(page, options=options).response["violations"]
        return [
            f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:300]} {each['nodes'][0]['failureSummary']}"
            for each in violations
        ]

    return found
