"""Rows of SQL as JSON, CSV, Polars and Python: types that tables do not have, but answers do."""

import io
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

import colonnade
from colonnade.engine.sql_lengths import lengths_of, with_lengths
from colonnade.errors import QueryError
from colonnade.queries.lines import flat, flat_schema, json_line


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("sum(n)", 6),  # DuckDB sums whole numbers as HUGEINT, which Arrow gives as a decimal
        ("12345678901234567890123::hugeint", 12345678901234567890123),
        ("avg(n)", 2.0),
        ("0.1", 0.1),
        ("'0.12345678901234567890123'::decimal(38, 23)", "0.12345678901234567890123"),
        ("'nan'::double", None),
        ("interval 90 seconds", 90.0),
        ("max(moment) - min(moment)", 172_800.5),
        ("'abc'::blob", "616263"),
        ("time '12:00'", "12:00:00"),
        ("list(n)", [1, 2, 3]),
        ("{'a': sum(n), 'b': [interval 1 second], 'c': 'nan'::double}", None),
        ("map {'a': 1}", None),
    ],
)
def test_answers_are_json_and_csv_whatever_their_types(written: str, said: Any) -> None:
    rows = "(values (1, timestamp '2026-01-01'), (2, timestamp '2026-01-02'), (3, timestamp '2026-01-03 00:00:00.5'))"
    with colonnade.open(":memory:") as store:
        found = store.sql(f"select {written} as x from {rows} as t(n, moment) limit 1").arrow()
    lines = [json.loads(json_line(row)) for row in found.to_pylist()]
    assert len(lines) == 1
    if said is not None or "nan" in written[:6]:
        assert lines == [{"x": said}]
    file = io.BytesIO()
    with pyarrow.csv.CSVWriter(file, flat_schema(found.schema)) as csv:
        for batch in found.to_batches():
            csv.write(flat(batch))
    assert pl.read_csv(file.getvalue()).height == 1


def test_a_difference_of_moments_is_a_duration_everywhere() -> None:
    with colonnade.open(":memory:") as store:
        store.observability.create_span(
            span={
                "traceId": "t",
                "spanId": "1",
                "name": "chat",
                "startedAt": "2026-01-31T12:00:00Z",
                "endedAt": "2026-02-03T12:00:01.500Z",
            }
        )
        query = "select endedAt - startedAt as took from spans"
        took = timedelta(days=3, seconds=1.5)
        assert store.sql(query).polars().schema == {"took": pl.Duration("us")}
        assert store.sql(query).polars().item() == took
        assert pl.DataFrame(store.sql(query)).item() == took
        assert store.sql(query).rows() == [{"took": took}]
        assert "3d 1s 500ms" in str(store.sql(query))
        assert store.sql(query).arrow().schema.field("took").type == pa.duration("us")


def test_what_has_no_length_or_no_type_says_how_to_ask() -> None:
    with colonnade.open(":memory:") as store:
        with pytest.raises(QueryError, match=r"took is an interval with months.*cast it to text"):
            store.sql("select interval 2 months as took").arrow()
        for written in ("union_value(a := 1)", "[interval 1 day]", "{'a': interval 1 day}"):
            odd = store.sql(f"select {written} as odd")
            with pytest.raises(QueryError, match="Polars has no type for odd"):
                odd.polars()
            assert "odd" in str(odd)
            assert len(odd.rows()) == 1


@given(
    st.lists(
        st.none() | st.tuples(st.integers(-(10**6), 10**6), st.integers(-(10**15), 10**15).map(lambda us: us * 1000))
    ),
    st.integers(0, 3),
)
def test_lengths_are_exact_and_nulls_stay(given: list[tuple[int, int] | None], offset: int) -> None:
    values = [None if each is None else pa.MonthDayNano([0, *each]) for each in given]
    column = pa.array(values, pa.month_day_nano_interval()).slice(min(offset, len(values)))
    batch = pa.RecordBatch.from_arrays([column], ["took"])
    found = lengths_of(batch, with_lengths(batch.schema)).column(0)
    exact = [None if each is None else timedelta(days=each[0], microseconds=each[1] // 1000) for each in given]
    assert found.to_pylist() == exact[min(offset, len(values)) :]


@given(st.decimals(allow_nan=True, allow_infinity=True) | st.integers(-(2**80), 2**80))
def test_a_decimal_is_a_number_that_says_the_same(number: Decimal | int) -> None:
    said = json.loads(json_line({"x": number}))["x"]
    if isinstance(number, Decimal) and not number.is_finite():
        assert said is None
    elif isinstance(said, str):
        assert Decimal(said) == number
    else:
        assert Decimal(repr(said)) == number
