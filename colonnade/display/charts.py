"""Charts of latency, cost and scores over time, made with Altair (``pip install "colonnade[charts]"``).

Each takes Arrow data (a ``pa.Table``, a Polars frame, the result of a query) or a storage, and gives an Altair chart,
which a notebook shows, and which goes on as any other: ``latency_chart(store).properties(width=900)``. What is drawn is
counted before, in buckets of time, so a chart of a million spans is as small as one of a hundred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from colonnade import Storage
from colonnade.errors import InvalidInput, MissingExtra
from colonnade.queries.series import Arrow, costs, latencies, mean_scores
from colonnade.queries.times import parse_when

if TYPE_CHECKING:
    import polars
    from altair import LayerChart

    from colonnade.queries.pages import When

WIDTH: Final = 640
HEIGHT: Final = 240
_LIGHT: Final = {"paper": "#ffffff", "ink": "#1f2430", "soft": "#5a6372", "line": "#e2e5ea"}
_DARK: Final = {"paper": "#15181d", "ink": "#e3e6eb", "soft": "#a0a9b6", "line": "#2d333c"}
# They are told apart by people who see few colours, and stand out from white.
_SERIES: Final = ["#4a73b8", "#c77a12", "#1f877a", "#a4508b", "#7a7f26", "#8457bd", "#6f7a8b"]
_SERIES_DARK: Final = ["#76a1e5", "#eaa547", "#52bdae", "#d98bc0", "#b9bd5c", "#b794ec", "#9aa5b5"]


def latency_chart(
    spans: Arrow | Storage,
    *,
    by: str | None = "model",
    since: When | None = None,
    every: str | None = None,
    dark: bool = False,
) -> LayerChart:
    """How long spans took over time: a line at the median, and a band up to the 95th percentile, by the values of a
    column (``model``, ``name``, ``spanType`` ...), or of all spans with ``by=None``.

    ``every`` is the width of a bucket (``"5m"``, ``"1h"``), by default a sixtieth of the time or less. ``since`` goes
    with a storage: a moment, or how long ago.
    """
    alt = _altair()
    columns = tuple(dict.fromkeys(("startedAt", "startTime", "endTime", *([by] if by else []))))
    frame = latencies(_rows(spans, "spans", columns, since), by=by, every=every)
    base = alt.Chart(_data(frame)).encode(x=_time(), color=_color(frame, by))
    y = alt.Y("p50:Q", title="seconds, median and up to p95", scale=alt.Scale(zero=True))
    band = base.mark_area(opacity=0.15).encode(y=y, y2="p95:Q")
    tips = _tips(("p50", ".3~f"), ("p95", ".3~f"), ("calls", ",d"))
    line = base.mark_line(strokeWidth=2).encode(y=y)
    points = base.mark_point(filled=True, size=36, opacity=1).encode(y=y, tooltip=tips)
    return _dressed(alt.layer(band, line, points), "Latency", dark)


def cost_chart(
    spans: Arrow | Storage,
    *,
    by: str | None = "model",
    since: When | None = None,
    every: str | None = None,
    dark: bool = False,
) -> LayerChart:
    """What spans cost over time, in US dollars a bucket, stacked by the values of a column. As ``latency_chart``."""
    alt = _altair()
    columns = tuple(dict.fromkeys(("startedAt", "cost", *([by] if by else []))))
    frame = costs(_rows(spans, "spans", columns, since), by=by, every=every)
    y = alt.Y("cost:Q", title="US dollars", axis=alt.Axis(format="$~g"))
    times = frame["time"].unique().sort()
    width = max(2, min(28, round(0.8 * WIDTH / max(_steps(times), 1))))
    bars = alt.Chart(_data(frame)).mark_bar(width=width)
    tips = _tips(("cost", "$.4~f"), ("calls", ",d"))
    return _dressed(alt.layer(bars.encode(x=_time(), y=y, color=_color(frame, by), tooltip=tips)), "Cost", dark)


def score_chart(
    scores: Arrow | Storage,
    *,
    by: str | None = "scorerId",
    since: When | None = None,
    every: str | None = None,
    dark: bool = False,
) -> LayerChart:
    """The mean score over time with a band of 1.96 standard errors, by the values of a column (``scorerId``,
    ``batchId`` ...). As ``latency_chart``.
    """
    alt = _altair()
    columns = tuple(dict.fromkeys(("createdAt", "score", *([by] if by else []))))
    frame = mean_scores(_rows(scores, "scores", columns, since), by=by, every=every)
    base = alt.Chart(_data(frame)).encode(x=_time(), color=_color(frame, by))
    scale = alt.Scale(zero=False, nice=True)
    one = frame["time"].n_unique() < 2  # a band needs a second moment
    band = (base.mark_rule(strokeWidth=2, opacity=0.4) if one else base.mark_area(opacity=0.15)).encode(
        y=alt.Y("low:Q", title="mean score", scale=scale), y2="high:Q"
    )
    line = base.mark_line(strokeWidth=2).encode(y=alt.Y("mean:Q", scale=scale))
    tips = _tips(("mean", ".3~f"), ("low", ".3~f"), ("high", ".3~f"), ("scores", ",d"))
    points = base.mark_point(filled=True, size=36, opacity=1).encode(y=alt.Y("mean:Q", scale=scale), tooltip=tips)
    return _dressed(alt.layer(band, line, points), "Scores", dark)


def _altair() -> Any:
    try:
        import altair
    except ImportError as error:
        raise MissingExtra("charts", "charts") from error
    return altair


def _rows(rows: Arrow | Storage, table: str, columns: tuple[str, ...], since: When | None) -> Arrow:
    if not isinstance(rows, Storage):
        if not hasattr(rows, "__arrow_c_stream__"):
            raise InvalidInput(f"a chart takes Arrow data or a blocking storage, not {type(rows).__name__}")
        return rows
    where = f" where {columns[0]} >= ?" if since is not None else ""
    names = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}"' for name in columns)
    found: Arrow = rows.sql(f"select {names} from {table}{where}", [parse_when(since)] if since else None).arrow()
    return found


def _data(frame: polars.DataFrame) -> Any:
    import polars

    said = polars.col("time").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return _altair().Data(values=frame.with_columns(said).to_dicts())


def _steps(times: Any) -> int:
    """How many buckets there are from the first to the last, empty ones too."""
    if len(times) < 2:
        return 1
    return int((times[-1] - times[0]) / times.diff().drop_nulls().min()) + 1


def _time() -> Any:
    alt = _altair()
    axis = alt.Axis(grid=False, tickCount=8, labelOverlap=True, format={"hours": "%H:%M", "seconds": "%H:%M:%S"})
    return alt.X("time:T", title="time (UTC)", scale=alt.Scale(type="utc"), axis=axis)


def _color(frame: polars.DataFrame, by: str | None) -> Any:
    alt = _altair()
    names = frame["series"].unique().sort().to_list()
    legend = None if by is None or len(names) < 2 else alt.Legend(title=by)
    return alt.Color("series:N", legend=legend, sort=names)


def _tips(*columns: tuple[str, str]) -> list[Any]:
    alt = _altair()
    time = alt.Tooltip("time:T", format="%Y-%m-%d %H:%M UTC", formatType="utc")
    return [time, "series:N", *(alt.Tooltip(f"{name}:Q", format=form) for name, form in columns)]


def _dressed(chart: LayerChart, title: str, dark: bool) -> LayerChart:
    look = _DARK if dark else _LIGHT
    font = "system-ui, -apple-system, Segoe UI, Roboto, Noto Sans, DejaVu Sans, sans-serif"
    text = {"labelColor": look["soft"], "titleColor": look["soft"], "labelFontSize": 11, "titleFontSize": 11}
    axis = {**text, "gridColor": look["line"], "domainColor": look["line"], "tickColor": look["line"]}
    dressed: LayerChart = (
        chart.properties(width=WIDTH, height=HEIGHT, title=title, background=look["paper"], padding=12)
        .configure(font=font)
        .configure_view(stroke=None)
        .configure_axis(**axis, titleFontWeight="normal", titlePadding=8)
        .configure_legend(
            **text, titleFontWeight="normal", symbolType="circle", symbolOpacity=1, orient="top", offset=4
        )
        .configure_title(color=look["ink"], anchor="start", fontSize=14, fontWeight=600, offset=8)
        .configure_range(category=_SERIES_DARK if dark else _SERIES)
    )
    return dressed
