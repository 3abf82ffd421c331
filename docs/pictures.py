"""Make the pictures in docs/pictures anew: `make pictures`. They show the demo, in light and in dark.

It needs what the tests need: playwright, chromium and vl-convert.
"""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import colonnade
from bench.one_trace import TRACE, one_trace
from colonnade.demo.run import demo
from colonnade.display import charts
from colonnade.display.notebook import HTML, mimebundle
from colonnade.display.terminal import console

FOLDER = Path(__file__).parent / "pictures"
WIDTH, HEIGHT = 900, 760
THEMES = {"light": False, "dark": True}
# The trace of the demo in which most went wrong, and the thread with most messages.
FAILED = "select traceId from spans group by 1 order by count(error) desc, count(*) desc, min(startedAt) limit 1"
LONGEST = "select thread_id from messages group by 1 order by count(*) desc, min(createdAt) limit 1"
METRICS = ["resolved", "cost", "latency", "tokens"]
CLOSE_ITEMS = "document.querySelectorAll('details[open]').forEach(each => each.open = false)"
TO_THE_END = "window.scrollTo(0, document.body.scrollHeight)"
OPEN_A_SPAN = "document.querySelectorAll('summary.cn-row')[2].parentElement.open = true"


def main() -> None:
    """Make all pictures."""
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        print("Running the demo ...")
        with open("/dev/null", "w") as nowhere:
            demo(Path(folder) / "demo", console=console(nowhere, width=80))
        with colonnade.open(str(Path(folder) / "demo")) as store:
            trace = mimebundle(store.trace(store.sql(FAILED).rows()[0]["traceId"]))[HTML]
            thread = mimebundle(store.thread(store.sql(LONGEST).rows()[0]["thread_id"]))[HTML]
            compared = mimebundle(colonnade.compare(store, "prompt-v1", "prompt-v2", metric=METRICS))[HTML]
            report = mimebundle(store.queries.report(since="35m"))[HTML]
            _chart(store)
        with colonnade.open(":memory:") as store:
            store.observability.batch_create_spans(records=one_trace(10_000))
            large = mimebundle(store.trace(TRACE))[HTML]
        pictures = {
            "trace": (trace, OPEN_A_SPAN),
            "thread": (thread, ""),
            "large": (large, TO_THE_END),
            "comparison": (compared, CLOSE_ITEMS),
            "report": (report, ""),
        }
        _photograph(pictures, Path(folder))
    for path in sorted(FOLDER.glob("*.png")):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def _chart(store: Any) -> None:
    import vl_convert

    for theme, dark in THEMES.items():
        chart = charts.latency_chart(store, dark=dark)
        (FOLDER / f"latency-{theme}.png").write_bytes(vl_convert.vegalite_to_png(chart.to_dict(), scale=1.25))


def _photograph(pictures: dict[str, tuple[str, str]], folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("no browser: install chromium (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, (html, script) in pictures.items():
            file = folder / f"{name}.html"
            file.write_text(f"<!doctype html><meta charset=utf-8><body style='margin: 0'>{html}", encoding="utf-8")
            for theme in THEMES:
                page = browser.new_page(
                    color_scheme="dark" if theme == "dark" else "light",
                    viewport={"width": WIDTH, "height": HEIGHT},
                    device_scale_factor=1.0 if name == "large" else 1.25,
                )
                page.goto(file.as_uri())
                if script:
                    page.evaluate(script)
                whole = page.evaluate("document.querySelector('.colonnade').offsetHeight")
                height = min(HEIGHT, whole)
                # Of a long trace its end, which says how the rest is folded; of anything else the beginning.
                top = whole - height if script == TO_THE_END else 0
                clip = {"x": 0, "y": top, "width": WIDTH, "height": height}
                page.screenshot(path=FOLDER / f"{name}-{theme}.png", clip=clip, full_page=True)
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
