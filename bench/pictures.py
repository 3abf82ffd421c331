"""What it takes to see a trace of 10,000 spans: to make the picture, and for a browser to show it."""

from __future__ import annotations

import shutil
import statistics
import time
from typing import Any, Final

import colonnade
from bench.findings import Finding, Run, at_most
from bench.one_trace import TRACE, one_trace
from colonnade.display.notebook import HTML, mimebundle

SPANS: Final = 10_000
PAINTED: Final = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def main(run: Run) -> None:
    """Make the picture, then have it shown in light and in dark."""
    spans = min(SPANS, run.rows)
    with run.doing(f"a trace of {spans:,} spans"), colonnade.open(":memory:") as store:
        store.observability.batch_create_spans(records=one_trace(spans))
        trace = store.trace(TRACE)
    made = []
    with run.doing("making its picture"):
        for _ in range(run.repeats):
            begun = time.perf_counter()
            html = mimebundle(trace)[HTML]
            made.append(time.perf_counter() - begun)
    detail = {"spans": spans, "seconds": made}
    run.found(Finding("pictures", f"a waterfall of {spans:,} spans, made", statistics.median(made), "s", detail=detail))
    megabytes = len(html.encode()) / 1e6
    run.found(Finding("pictures", "its size", megabytes, "MB", target=at_most(5)))
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        run.skip("how long a browser takes to show it: needs playwright and chromium")
        return
    file = run.scratch("trace.html")
    file.write_text(f"<!doctype html><title>trace</title>{html}", encoding="utf-8")
    with run.doing("showing it in a browser"), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for scheme in ("light", "dark"):
            seconds = [_shown(browser, file.as_uri(), scheme) for _ in range(max(3, run.repeats))]
            run.found(
                Finding(
                    "pictures",
                    f"shown in headless Chromium, {scheme}: from asking to painted",
                    statistics.median(seconds),
                    "s",
                    target=at_most(2),
                    detail={"seconds": seconds, "chromium": browser.version},
                )
            )
        browser.close()


def _shown(browser: Any, address: str, scheme: str) -> float:
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1000, "height": 800})
    page = context.new_page()
    begun = time.perf_counter()
    page.goto(address)
    page.evaluate(PAINTED)
    seconds = time.perf_counter() - begun
    context.close()
    return seconds
