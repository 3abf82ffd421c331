"""Questions over all rows: the hourly p95 with tokens and cost, usage, and exports; rows a second of one core."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import colonnade
from bench import floors, kept, measure
from bench.findings import Finding, Run, at_least, at_least_times, at_most
from bench.reads import LIGHT, named
from colonnade.engine.plan import Bucket, Measure, Scan, Summarize
from colonnade.schemas import SPANS

# Without a zone, by plain arithmetic; ``date_trunc`` of a time with a zone asks a calendar, and takes 7 times as long.
HOUR: Final = """date_trunc('hour', make_timestamp(epoch_us("startedAt")))"""
HOURLY: Final = """
    SELECT name, {hour} AS hour, count(*) AS calls,
           quantile_cont(("endTime" - "startTime") / 1e6, 0.95) AS p95,
           sum("inputTokens") AS input, sum("outputTokens") AS output, sum(cost) AS cost
    FROM spans GROUP BY ALL ORDER BY ALL
"""
SQL: Final = {
    "hourly": HOURLY.format(hour=HOUR),
    "zoned": HOURLY.format(hour="""date_trunc('hour', "startedAt")"""),
    "export_light": f"SELECT {LIGHT} FROM spans",
    "export_all": "SELECT * FROM spans",
}
SUMS: Final = Summarize(
    SPANS,
    by=("name", Bucket("startedAt", timedelta(hours=1))),
    measures=(
        Measure("count"),
        Measure("sum", "inputTokens"),
        Measure("sum", "outputTokens"),
        Measure("sum", "cost"),
    ),
)
CORE: Final = "rows/s a core"


def main(run: Run) -> None:
    """The sizes in turn, then exports of light and of all columns."""
    for rows in run.sizes:
        store, plain = kept.store(run, rows) / "agent", kept.plain_duckdb(run, rows)
        with run.doing(f"asking about all of {named(rows)} spans"):
            seen, zoned = _both(run, "hourly", store, plain), _both(run, "zoned", store, plain)
            more = {what: measure.in_fresh(ours, what=what, store=str(store)) for what in ("sums", "usage")}
        what = f"hourly p95, tokens and cost by name, {named(rows)}"
        _rate(run, what, CORE, rows, seen, "cpu", at_least(8e6))
        peak = max(each["peak_rss"] for each in seen["ours"]) / 2**20
        run.found(Finding("analytics", f"peak RSS of that, {named(rows)}", peak, "MiB", target=at_most(1024)))
        _rate(run, f"the same by date_trunc of a time with a zone, {named(rows)}", CORE, rows, zoned, "cpu", None)
        for what, name in {"sums": "tokens and cost by name and hour, Summarize", "usage": "usage by name"}.items():
            detail = {"seconds": more[what]["wall"], "peak_rss": more[what]["peak_rss"]}
            rate = rows / more[what]["cpu"]
            run.found(Finding("analytics", f"{name}, {named(rows)}", rate, CORE, detail=detail))
    _export(run, "light", run.rows, 0)
    if run.full:
        _export(run, "all", run.full, kept.FULL_SIZE)


def _export(run: Run, what: str, rows: int, size: int) -> None:
    store, plain = kept.store(run, rows, size) / "agent", kept.plain_duckdb(run, rows, size)
    with run.doing(f"exporting {named(rows)} spans"):
        seen = _both(run, f"export_{what}", store, plain)
    what = f"export to Arrow, {what} columns, {named(rows)}"
    _rate(run, what, "rows/s", rows, seen, "wall", at_least_times(0.8))
    _rate(run, what, CORE, rows, seen, "cpu", None)


def _both(run: Run, what: str, store: Path, plain: Path) -> dict[str, list[dict[str, float]]]:
    seen: dict[str, list[dict[str, float]]] = {"ours": [], "DuckDB": []}
    for _ in range(run.repeats):
        seen["ours"].append(measure.in_fresh(ours, what=what, store=str(store)))
        seen["DuckDB"].append(measure.in_fresh(duckdb, what=what, plain=str(plain)))
    return seen


def _rate(run: Run, what: str, unit: str, rows: int, seen: dict[str, Any], by: str, target: Any) -> None:
    rates = {name: measure.median([rows / each[by] for each in runs]) for name, runs in seen.items()}
    run.found(Finding("analytics", what, rates["ours"], unit, rates["DuckDB"], "DuckDB", target, {"runs": seen}))


def ours(what: str, store: str) -> dict[str, float]:
    """Ask once, with the store warmed by a glance at it. Runs in a process of its own, for the memory it takes."""
    with colonnade.open(store) as opened:
        opened.queries.roots(limit=1)
        opened.sql("SELECT name FROM spans LIMIT 1").arrow()
        asks = {
            "hourly": lambda: opened.sql(SQL["hourly"]).arrow().num_rows,
            "zoned": lambda: opened.sql(SQL["zoned"]).arrow().num_rows,
            "sums": lambda: opened.execute(SUMS).num_rows,
            "usage": lambda: opened.queries.usage(by="name").num_rows,
            "export_light": lambda: sum(each.num_rows for each in opened.batches(Scan(SPANS, columns=SPANS.light))),
            "export_all": lambda: sum(each.num_rows for each in opened.batches(Scan(SPANS))),
        }
        with measure.spent() as took:
            rows = asks[what]()
    return {"rows": rows, "wall": took.wall, "cpu": took.cpu}


def duckdb(what: str, plain: str) -> dict[str, float]:
    """The same of one plain table."""
    connection = floors.duckdb_file(Path(plain), read_only=True)
    connection.sql('SELECT name FROM spans WHERE "parentSpanId" IS NULL LIMIT 1').fetchall()
    with measure.spent() as took:
        answer = connection.sql(SQL[what])
        if not what.startswith("export"):
            rows = answer.to_arrow_table().num_rows
        else:
            rows = sum(batch.num_rows for batch in answer.to_arrow_reader(61_440))
    return {"rows": rows, "wall": took.wall, "cpu": took.cpu}
