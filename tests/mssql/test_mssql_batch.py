"""A statement and its values as one batch: what is pasted into it can be nothing but a value."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from colonnade.engine.relational import Statement
from colonnade.engine.stores.mssql.batch import batch_of, typed_literal
from colonnade.engine.stores.mssql.spelling import KEY, Key, key_of
from colonnade.engine.stores.mssql.wire import form_of
from colonnade.schemas import SPANS

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@pytest.mark.parametrize(
    ("value", "kind", "literal"),
    [
        ("it's", "NVARCHAR(MAX)", "N'it''s'"),
        ("", "NVARCHAR(MAX)", "N''"),
        ("a\\b", "NVARCHAR(MAX)", "N'a\\b'"),
        ("a\\\nb", "NVARCHAR(MAX)", "CAST(0x61005c000a006200 AS NVARCHAR(MAX))"),
        ("\\\r\n", "NVARCHAR(MAX)", "CAST(0x5c000d000a00 AS NVARCHAR(MAX))"),
        (b"", "VARBINARY(MAX)", "0x"),
        (b"\x00\xff", "VARBINARY(MAX)", "0x00ff"),
        (Key(b"a"), "VARBINARY(200)", "0x61"),
        (True, "BIT", "1"),
        (-(2**63), "BIGINT", "-9223372036854775808"),
        (-0.0, "FLOAT(53)", "CAST(-1 AS FLOAT(53)) * 0E0"),
        (
            datetime(1, 1, 1, 2, 0, 0, 7, timezone(timedelta(hours=1))),
            "DATETIME2(6)",
            "'0001-01-01T01:00:00.000007'",
        ),
    ],
)
def test_literals(value: Any, kind: str, literal: str) -> None:
    assert typed_literal(value) == (kind, literal)


def test_other_values_are_refused() -> None:
    with pytest.raises(TypeError, match="list is no value of T-SQL"):
        typed_literal([1])


@given(texts, texts)
def test_a_text_is_one_literal_and_no_more(first: str, second: str) -> None:
    batch = batch_of(Statement("SELECT @p1 AS [a], N'it''s' AS [b], @p2 AS [c]", (first, second)))
    rest = re.sub(r"N'(?:[^']|'')*'|0x[0-9a-f]*", "?", batch)
    kinds = "DECLARE @p1 NVARCHAR(MAX) = ?, @p2 NVARCHAR(MAX) = ?;\nEXEC sp_executesql ?, ?, @p1, @p2"
    assert re.sub(r"CAST\(\? AS NVARCHAR\(MAX\)\)", "?", rest) == kinds
    for text in (first, second):
        _, literal = typed_literal(text)
        if literal.startswith("N"):
            assert literal[2:-1].replace("''", "'") == text
            parsed = sqlglot.parse_one(f"SELECT {literal}", read="tsql").find(exp.National)
            assert parsed is not None and parsed.this == text
        else:
            assert bytes.fromhex(literal[7:].split()[0]).decode("utf-16-le") == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_the_same_to_the_last_bit(number: float) -> None:
    _, text = typed_literal(number)
    ours = re.sub(r"CAST\((-?\d+|CAST\((-?\d+) AS BIGINT\)) AS FLOAT\(53\)\)", lambda m: f"float({m[2] or m[1]})", text)
    found = eval(ours.replace("POWER", "pow").replace("0E0", "0.0"))
    assert (found, math.copysign(1, found)) == (number, math.copysign(1, number))
    if abs(number) > 1e-200:  # none of the powers is so small that a server might not know it
        assert all(pow(2.0, int(power)) > 2.3e-308 for power in re.findall(r"FLOAT\(53\)\), (-?\d+)\)", text))
    whole, twos = form_of(SPANS.columns["cost"]).given(number)
    again = whole * 0.0 if twos is None else math.ldexp(whole, twos)
    assert (again, math.copysign(1, again)) == (number, math.copysign(1, number))


@given(texts, texts)
def test_keys_are_short_and_those_of_different_texts_are_different(first: str, second: str) -> None:
    assert len(key_of(first * 40)) <= KEY
    assert (key_of(first) == key_of(second)) == (first == second)
    assert (key_of(first * 40) == key_of(second * 40)) == (first * 40 == second * 40)


def test_the_key_of_a_long_text_is_what_the_server_makes_of_it() -> None:
    assert key_of("a" * 199) == b"a" * 199
    assert key_of("a" * 200) == b"a" * 168 + sha256(b"a" * 200).digest()
    assert key_of("é" * 100) == b"\xc3\xa9" * 84 + sha256(("é" * 100).encode()).digest()
    assert key_of("a") != key_of("a "), "SQL Server would call the texts equal"


def test_more_values_than_a_server_takes_stand_in_the_statement() -> None:
    values = tuple(range(2_001))
    sql = f"SELECT 1 WHERE [n] IN ({', '.join(f'@p{number + 1}' for number in values)})"
    sent = batch_of(Statement(sql, values))
    assert sent == f"SELECT 1 WHERE [n] IN ({', '.join(f'CAST({number} AS BIGINT)' for number in values)})"


def test_a_statement_without_values_is_sent_as_it_is() -> None:
    assert batch_of(Statement("SELECT N'it''s'")) == "SELECT N'it''s'"
    moment = datetime(2026, 1, 31, tzinfo=UTC)
    sent = batch_of(Statement("SELECT N'a' WHERE @p1 < [x]", (moment,)))
    assert sent == (
        "DECLARE @p1 DATETIME2(6) = '2026-01-31T00:00:00.000000';\n"
        "EXEC sp_executesql N'SELECT N''a'' WHERE @p1 < [x]', N'@p1 DATETIME2(6)', @p1"
    )
