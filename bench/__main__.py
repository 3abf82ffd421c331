"""``make bench``: every question in turn, each beside its floor or peer; a table at the end, and JSON."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.findings import Run

QUESTIONS: Final = (
    "flush",
    "ingest",
    "encoding",
    "reads",
    "analytics",
    "export",
    "size",
    "memory_domain",
    "recall",
    "resident",
    "freshness",
    "loading",
    "pictures",
    "stores",
    "calibration",
    "peers",
)
LONG: Final = ("stores", "calibration")
"""Not asked with ``--quick``, unless by name."""
RESULTS: Final = Path(__file__).parent / "results"


def main(arguments: list[str]) -> None:
    """Measure what is asked for."""
    asked = _parser().parse_args(arguments)
    run = Run(
        cache=asked.cache,
        rows=asked.rows or (200_000 if asked.quick else 1_000_000),
        full=asked.full or (40_000 if asked.quick else 250_000),
        scales=asked.scale,
        repeats=asked.repeats or (1 if asked.quick else 3),
        times=asked.times or (30 if asked.quick else 200),
        stores=asked.stores,
        peers=asked.peers and not asked.quick,
        anew=asked.anew,
        keep=asked.keep,
        console=Console(width=None if sys.stdout.isatty() else 140),
    )
    for question in asked.questions or QUESTIONS:
        if asked.quick and not asked.questions and question in LONG:
            run.skip(f"{question}: takes minutes; it can be asked by name")
            continue
        run.console.rule(question, align="left")
        ask: Callable[[Run], None] = import_module(f"bench.{question}").main
        try:
            ask(run)
        except Exception as error:  # the others are asked all the same
            run.console.print_exception()
            run.failed.append(f"{question}: {error!s:.300}")
    run.console.print(run.table())
    run.console.print(f"written to {run.write(asked.results)}", highlight=False, soft_wrap=True)
    sys.exit(1 if run.failed else 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("make bench", description=__doc__)
    parser.add_argument("questions", nargs="*", choices=[[], *QUESTIONS], help=f"all of them: {', '.join(QUESTIONS)}")
    parser.add_argument("--rows", type=int, help="light spans in the store that is asked (1M; 200k with --quick)")
    parser.add_argument("--full", type=int, help="full-size spans (250k; 40k with --quick)")
    parser.add_argument("--scale", type=_sizes, default=(), help="larger stores to ask too: 5000000,20000000")
    parser.add_argument("--repeats", type=int, help="runs of what is measured as a whole (3; 1 with --quick)")
    parser.add_argument("--times", type=int, help="times that a short question is asked (200; 30 with --quick)")
    parser.add_argument(
        "--quick", action="store_true", help="smaller and once, without peers and stores: about a minute"
    )
    parser.add_argument("--stores", type=_stores, default=(), help="which ones to compare: lance,postgres; all of them")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="leave out Phoenix and MLflow")
    parser.add_argument("--anew", action="store_true", help="make what is in the cache anew")
    parser.add_argument("--keep", action="store_true", help="ask stores in the cache that another version made")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "colonnade-bench")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder that JSON is written into")
    return parser


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split(","))


def _stores(text: str) -> tuple[str, ...]:
    from bench.store_kinds import KINDS  # loads every driver

    names = tuple(text.split(","))
    if unknown := set(names) - set(KINDS):
        raise argparse.ArgumentTypeError(f"no stores: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    return names


if __name__ == "__main__":
    main(sys.argv[1:])
