"""What a run found: numbers beside a floor or a peer and against a target, as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench import measure

PACKAGES: Final = ("colonnade", "duckdb", "pyarrow", "polars", "opentelemetry-sdk", "numpy")


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on a number of ours, or (``ratio``) on how many times the other's it is."""

    sign: Literal["<=", ">="]
    bound: float
    ratio: bool = False

    def __str__(self) -> str:
        return f"{self.sign} {shown(self.bound)}{'x' if self.ratio else ''}"


def at_most(bound: float) -> Target:
    """Ours is at most this."""
    return Target("<=", bound)


def at_least(bound: float) -> Target:
    """Ours is at least this."""
    return Target(">=", bound)


def at_most_times(bound: float) -> Target:
    """Ours is at most so many times the other's."""
    return Target("<=", bound, ratio=True)


def at_least_times(bound: float) -> Target:
    """Ours is at least so many times the other's."""
    return Target(">=", bound, ratio=True)


@dataclass(frozen=True, slots=True)
class Finding:
    """One number of ours; ``other`` is the same of what ``than`` names. ``detail`` goes into the JSON alone."""

    question: str
    what: str
    ours: float
    unit: str
    other: float | None = None
    than: str = ""
    target: Target | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Ours over the other's."""
        return self.ours / self.other if self.other else None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; ``None`` where there is none, or nothing to compare with."""
        if self.target is None:
            return None
        number = self.ratio if self.target.ratio else self.ours
        if number is None:
            return None
        return number <= self.target.bound if self.target.sign == "<=" else number >= self.target.bound

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        other = "" if self.other is None else f"{shown(self.other)} {self.than}"
        ratio = "" if self.ratio is None else f"{shown(self.ratio)}x"
        met = {True: "[green]met[/]", False: "[red]MISSED[/]", None: ""}[self.met]
        return self.what, f"{shown(self.ours)} {self.unit}", other, ratio, str(self.target or ""), met


def shown(number: float) -> str:
    """A number with three digits that count."""
    if number == 0:
        return "0"
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"


@dataclass(slots=True)
class Run:
    """One run: how much it does, where it keeps what is expensive to make, and what it has found."""

    cache: Path
    rows: int = 1_000_000
    full: int = 250_000
    scales: tuple[int, ...] = ()
    repeats: int = 3
    times: int = 200
    stores: tuple[str, ...] = ()
    peers: bool = True
    peer_spans: int = 5_000
    anew: bool = False
    keep: bool = False
    console: Console = field(default_factory=Console)
    findings: list[Finding] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    made: set[str] = field(default_factory=set)
    begun: datetime = field(default_factory=lambda: datetime.now(UTC))
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    yardsticks: dict[str, float] = field(default_factory=measure.yardsticks)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many light spans the stores hold that are asked, smallest first."""
        return tuple(sorted({self.rows, *self.scales}))

    def scratch(self, name: str) -> Path:
        """A place for a file or folder that is only needed for a moment; empty each time."""
        folder = self.cache / "scratch"
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{name}*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        return folder / name

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Say what is being done, while it is."""
        if not self.console.is_terminal:
            self.console.print(f"  {escape(what)} ...", highlight=False)
            yield
            return
        with self.console.status(f"{escape(what)} ..."):
            yield

    def found(self, finding: Finding) -> None:
        """Keep a finding, and say it."""
        self.findings.append(finding)
        what, ours, other, ratio, target, met = finding.cells()
        beside = f" ({ratio} of {other})" if other else ""
        self.console.print(f"  {escape(what)}: [bold]{ours}[/]{beside} {target} {met}", highlight=False)

    def skip(self, why: str) -> None:
        """Leave something out, visibly."""
        self.skipped.append(why)
        self.console.print(f"  [yellow]skipped[/]: {escape(why)}", highlight=False)

    def table(self) -> Table:
        """All that was found, question by question."""
        table = Table(title="colonnade bench", caption=self._summary(), title_justify="left", caption_justify="left")
        table.add_column("what", overflow="fold")
        for name in ("ours", "floor or peer", "ratio", "target"):
            table.add_column(name, justify="right")
        table.add_column("")
        for question in dict.fromkeys(finding.question for finding in self.findings):
            table.add_section()
            for finding in self.findings:
                if finding.question == question:
                    table.add_row(*finding.cells())
        return table

    def _summary(self) -> str:
        targets = [finding.met for finding in self.findings if finding.met is not None]
        text = f"{sum(targets)} of {len(targets)} targets met; load average {self.load:.1f} before, "
        text += f"{os.getloadavg()[0]:.1f} after, {os.cpu_count()} cores; "
        text += f"DuckDB's select 1 took {shown(self.yardsticks['duckdb_select_1'])} ms"
        if max(self.load, os.getloadavg()[0] - 1) > (os.cpu_count() or 1):
            text += "\nOthers were at work on this machine: believe ratios and CPU seconds, not the clock."
        left_out = [*(f"skipped: {why}" for why in self.skipped), *(f"FAILED: {why}" for why in self.failed)]
        return "\n".join([text, *map(escape, left_out)])

    def write(self, folder: Path) -> Path:
        """Keep everything as JSON: a file of this run, and ``bench.json``, the latest."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"bench-{self.begun:%Y%m%dT%H%M%SZ}.json"
        said = json.dumps({"run": self._facts(), "findings": [_said(each) for each in self.findings]}, indent=2) + "\n"
        path.write_text(said)
        (folder / "bench.json").write_text(said)
        return path

    def _facts(self) -> dict[str, Any]:
        return {
            "at": self.begun.isoformat(timespec="seconds"),
            "seconds": round((datetime.now(UTC) - self.begun).total_seconds(), 1),
            "rows": self.rows,
            "full_rows": self.full,
            "scales": self.sizes,
            "repeats": self.repeats,
            "skipped": self.skipped,
            "failed": self.failed,
            "machine": {
                "system": f"{platform.system()} {platform.machine()}",
                "cores": os.cpu_count(),
                "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
                "load_before": round(self.load, 2),
                "load_after": round(os.getloadavg()[0], 2),
                "yardsticks_ms": self.yardsticks,
            },
            "versions": {
                "python": platform.python_version(),
                "sqlite": sqlite3.sqlite_version,
                **{name: _version(name) for name in PACKAGES},
            },
        }


def _said(finding: Finding) -> dict[str, Any]:
    said = asdict(finding)
    said["target"] = None if finding.target is None else str(finding.target)
    return {**said, "ratio": finding.ratio, "met": finding.met}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
