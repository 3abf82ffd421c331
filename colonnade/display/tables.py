"""Tables for the terminal: spans, traces, and whatever a SQL query gave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any, Final

import pyarrow as pa
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from colonnade.display.forest import Node, SpanRecord, forest
from colonnade.display.formats import (
    ABSENT,
    decimals_for,
    duration,
    moment,
    moneys,
    number,
    payload,
    plural,
    safe,
)
from colonnade.display.screen import GAP, Column, Picture, fitted, stacked
from colonnade.schemas import SPANS
from colonnade.schemas.records import decode

_CELL: Final = 120
"""Characters of a text in a cell, at most."""
_LISTED: Final = 1000
"""The same where a row has lines of its own."""
_FIGURE: Final = 4
"""The rank of figures that go before an identifier is cut."""


def spans_table(rows: pa.Table | Iterable[SpanRecord]) -> Picture:
    """Spans, one a line, in the order given: an Arrow table with columns of ``spans``, or span records.

    Times are UTC. What all of them share, a name or a date, is said once above the table.
    """
    return Picture(_Spans(rows, "span").draw)


def traces_table(rows: pa.Table | Iterable[SpanRecord], totals: pa.Table | None = None) -> Picture:
    """Traces, one a line, by their root spans: an Arrow table with columns of ``spans``, or span records.

    ``totals`` is what the question ``trace_totals`` says of them. Where a line is too narrow for identifiers, their
    beginnings are shown, as many letters as tell them apart.
    """
    return Picture(_Spans(rows, "trace", totals).draw)


class _Spans:
    def __init__(self, rows: pa.Table | Iterable[SpanRecord], noun: str, totals: pa.Table | None = None) -> None:
        self.noun = noun
        self.totals = None if totals is None else {row["traceId"]: row for row in totals.to_pylist()}
        # One node each, drawn or not: the same reading of times and errors as in the tree.
        self.nodes = [forest([span]).roots[0] for span in _records(rows)]
        self.spans = [node.span for node in self.nodes]

    def draw(self, width: int) -> RenderableType:
        if not self.nodes:
            return Text(f"No {self.noun}s.")
        names = [safe(span.get("name") or "(no name)", _CELL) for span in self.spans]
        several = len(names) > 1 and self.noun == "span"
        same = several and len(set(names)) == 1
        traces = [safe(span.get("traceId") or ABSENT) for span in self.spans]
        within = several and len(set(traces)) == 1
        days = sorted({moment(span["startedAt"])[:10] for span in self.spans})
        marked = [_marked(name, node) for name, node in zip(names, self.nodes, strict=True)]
        columns = [Column("time (UTC)", [_when(span, days) for span in self.spans])]
        if not same:
            columns.append(Column("name", marked, least=21))
        columns.append(Column("took", [_took(node) for node in self.nodes], align="right"))
        columns.extend(self._figures() if self.totals is None else self._sums(self.totals))
        errors = [safe(node.error, _CELL) if node.error is not None else "" for node in self.nodes]
        if any(errors):
            columns.append(Column("error", [Text(error, style="red") for error in errors], rank=2, least=24))
        if not within:
            place = next(place for place, column in enumerate(columns) if column.heading == "took") + 1
            columns.insert(place, self._ids(traces, columns, width))
        title = self._title(names[0] if same else None, traces[0] if within else None, days)
        return stacked(title, fitted(columns, width))

    def _title(self, name: str | None, trace: str | None, days: list[str]) -> Text:
        title = Text(plural(len(self.nodes), self.noun))
        if name is not None:
            title.append(" named ").append(name, "bold")
        if trace is not None:
            title.append(" of trace ").append(trace, "bold")
        title.append(f", {days[0]}" if len(days) == 1 else f", {days[0]} to {days[-1]}")
        failed = sum(node.error is not None for node in self.nodes)
        return title.append(f", {failed:,} failed", "red") if failed else title

    def _ids(self, traces: list[str], others: list[Column], width: int) -> Column:
        room = width - sum(column.narrowest + GAP for column in others if column.rank < _FIGURE)
        whole = Column("trace", traces, rank=1)
        if self.totals is None or whole.width <= room:
            return whole
        return Column("trace", beginnings(traces), rank=1)

    def _sums(self, totals: Mapping[str, Any]) -> list[Column]:
        found = [totals.get(span.get("traceId") or "", {}) for span in self.spans]
        failed = [row.get("errors") for row in found]
        tokens = [_sum(row.get("inputTokens"), row.get("outputTokens")) for row in found]
        columns = [
            Column("spans", _blank(number(row.get("spans")) for row in found), "right", rank=_FIGURE),
            Column("failed", [Text(number(count) if count else "", "red") for count in failed], "right", rank=2),
            Column("tokens", _blank(number(count) for count in tokens), "right", rank=_FIGURE + 1),
            Column("cost", _blank(moneys([row.get("cost") for row in found])), "right", rank=3),
        ]
        return [column for column in columns if any(str(cell) for cell in column.cells)]

    def _figures(self) -> list[Column]:
        columns = []
        for heading, cells, rank in (
            ("model", [safe(span.get("model") or "", 40) for span in self.spans], 6),
            ("cost", _blank(moneys([span.get("cost") for span in self.spans])), 3),
            ("tok in", _blank(number(span.get("inputTokens")) for span in self.spans), 4),
            ("tok out", _blank(number(span.get("outputTokens")) for span in self.spans), 5),
        ):
            if any(cells):
                columns.append(Column(heading, cells, align="left" if heading == "model" else "right", rank=rank))
        return columns


def _records(rows: pa.Table | Iterable[SpanRecord]) -> list[SpanRecord]:
    if not isinstance(rows, pa.Table):
        return list(rows)
    return list(decode(SPANS, rows.select([name for name in rows.column_names if name in SPANS.columns])))


def _when(span: SpanRecord, days: list[str]) -> str:
    """The time of a span, with as much of the date as its neighbours leave open."""
    if len(days) == 1:
        return moment(span["startedAt"], date=False, fraction=True)
    text = moment(span["startedAt"])
    return text[5:] if days[0][:4] == days[-1][:4] else text


def _took(node: Node) -> Text:
    if node.is_running:
        return Text("running", style="yellow")
    return Text("" if node.is_event else duration(node.nanoseconds), style="" if node.error is None else "red")


def _marked(name: str, node: Node) -> Text:
    return Text(f"✗ {name}", style="bold red") if node.error is not None else Text(name)


def beginnings(ids: list[str]) -> list[str]:
    """The first letters of identifiers: eight, or as many more as tell them apart. `colonnade trace` takes them."""
    for length in range(8, 64):
        if len({id[:length] for id in ids}) == len(set(ids)):
            return [id[:length] for id in ids]
    return ids


def _sum(*values: float | None) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _blank(cells: Iterable[str]) -> list[str]:
    return ["" if cell == ABSENT else cell for cell in cells]


def rows_table(rows: pa.Table, limit: int = 200) -> Picture:
    """The first ``limit`` rows of any Arrow table; below it, how many there are.

    Times with a zone are shown in UTC, null as a dim ``null``. Where the columns do not fit side by side, each row is a
    list of ``name  value`` instead.
    """
    shown = rows.slice(0, limit)
    names = [safe(name, 60) for name in rows.column_names]
    cells = [cells_of(shown.column(place)) for place in range(shown.num_columns)]
    columns = [
        Column(name, column, "right" if is_number(kind) else "left", least=12 if _is_long(kind) else None)
        for name, column, kind in zip(names, cells, rows.schema.types, strict=True)
    ]
    more = rows.num_rows > shown.num_rows
    counted = (
        f"the first {shown.num_rows:,} of {plural(rows.num_rows, 'row')}" if more else plural(rows.num_rows, "row")
    )

    def whole() -> list[list[Text]]:
        return [cells_of(shown.column(place), _LISTED) for place in range(shown.num_columns)]

    def draw(width: int) -> RenderableType:
        fits = sum(column.narrowest + GAP for column in columns) - GAP <= width
        body = fitted(columns, width) if fits else _listed(names, whole())
        return stacked(body if columns else None, Text(counted, style="dim"))

    return Picture(draw)


def _listed(names: Sequence[str], cells: Sequence[Sequence[Text]]) -> RenderableType:
    listed = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    listed.add_column(style="dim", no_wrap=True)
    listed.add_column(overflow="fold")
    for row in range(len(cells[0]) if cells else 0):
        listed.add_row(Text(f"row {row + 1}", style="bold"))
        for name, column in zip(names, cells, strict=True):
            listed.add_row(Text(f"  {name}"), column[row])
    return listed


def cells_of(column: pa.ChunkedArray, limit: int = _CELL) -> list[Text]:
    """The values of a column, each on one line of at most ``limit`` characters; null is dim."""
    values = _values(column)
    if pa.types.is_floating(column.type):
        spelled = _floats(values)
    elif pa.types.is_timestamp(column.type):
        spelled = [_stamp(value, column.type.tz) for value in values]
    elif column.type == pa.month_day_nano_interval():
        spelled = [_interval(value) for value in values]
    elif pa.types.is_boolean(column.type):
        spelled = [str(value).lower() for value in values]
    else:
        spelled = [
            payload(value, limit) if isinstance(value, str | list | dict) else safe(value, limit) for value in values
        ]
    return [
        Text("null", style="dim") if value is None else Text(cell) for value, cell in zip(values, spelled, strict=True)
    ]


def _values(column: pa.ChunkedArray) -> list[Any]:
    try:
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
            # Arrow would give the times of pandas where that is installed, which say less of themselves.
            column = column.cast(pa.timestamp("us", column.type.tz))
        return list(column.to_pylist())
    except (ValueError, OverflowError):  # times that Python's datetime cannot hold: nanoseconds, years beyond 9999
        return list(column.cast(pa.string()).to_pylist())


def _floats(values: Sequence[float | None]) -> list[str]:
    known = [value for value in values if value is not None]
    # The shortest text that reads back as the number; cut where that is longer than anybody reads.
    places = [-int(Decimal(repr(value)).as_tuple().exponent) for value in known if isfinite(value)]
    decimals = min(max(places, default=0), decimals_for(known, least=2, most=9, digits=4))
    plainly = all(isfinite(value) for value in known) and all(
        1e-6 <= abs(value) < 1e15 or value == 0 for value in known
    )
    return ["" if value is None else f"{value:.{decimals}f}" if plainly else f"{value:.6g}" for value in values]


def _interval(value: pa.MonthDayNano | None) -> str:
    """What SQL gives for the difference of two moments."""
    if value is None:
        return ""
    whole = [f"{count} {unit}" for count, unit in ((value.months, "months"), (value.days, "d")) if count]
    rest = [f"{value.nanoseconds / 1e9:g} s"] if value.nanoseconds or not whole else []
    return " ".join([*whole, *rest])


def _stamp(value: Any, zone: str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    text = moment(value) if zone else value.strftime("%Y-%m-%d %H:%M:%S")
    return text + (f".{value.microsecond:06}".rstrip("0") if value.microsecond else "") + (" UTC" if zone else "")


def _is_long(kind: pa.DataType) -> bool:
    return not (is_number(kind) or pa.types.is_temporal(kind) or pa.types.is_boolean(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether values of a type stand to the right of their column."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
