"""SQL over two stores: what a WHERE keeps is asked of each kind of store, and is what DuckDB itself would keep."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import colonnade
from colonnade.engine.plan import TRUE, Scan
from tests.servers.addresses import LOCAL, SERVED, address_of

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
NAMES = ["a", "B", "\u00e9", "\uffff", "\U0001f600", "it's", "100%", "back\\slash", ""]
NUMBERS = [0, -1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), None]


def spans() -> list[dict[str, Any]]:
    return [
        {
            "traceId": f"t{at % 3}",
            "spanId": f"s{at:02}",
            "name": NAMES[at % len(NAMES)],
            "startedAt": NOON + at % 5 * TICK,
            "endedAt": NOON + at * TICK if at % 4 else None,
            "inputTokens": NUMBERS[at % len(NUMBERS)],
            "isEvent": at % 2 == 0,
            "model": ["gpt-5", "GPT-5", None][at % 3],
            "cost": at / 10 if at % 5 else None,
        }
        for at in range(40)
    ]


@pytest.fixture(scope="module", params=[*LOCAL[2:], *SERVED])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    address = address_of(request.param, "pushed", tmp_path_factory.mktemp("pushed"), request)
    with colonnade.open(":memory:", observability=address) as opened:
        opened.observability.batch_create_spans(records=spans())
        yield opened


WHERE: list[tuple[str, Any]] = [
    *(("name = ?", [name]) for name in NAMES),
    ("name > ?", ["\u00e9"]),
    ("name <= ?", ["\uffff"]),
    ("name <> ?", ["a"]),
    ("model <> ?", ["gpt-5"]),
    ("model in (?, ?)", ["gpt-5", "none"]),
    ("model not in (?, ?)", ["gpt-5", "none"]),
    ("model is null", None),
    ("model is not null and name = 'B'", None),
    *((f'"inputTokens" = {number}', None) for number in NUMBERS if number is not None),
    ('"inputTokens" > $n', {"n": 2**53}),
    ('"inputTokens" between ? and ?', [-1, 2**53]),
    ('"inputTokens" in (?, ?)', [2**53 + 1, 5]),
    ('"isEvent"', None),
    ('"isEvent" = ?', [False]),
    ('not "isEvent"', None),
    ('"startedAt" >= ?', [NOON + 3 * TICK]),
    ('"startedAt" < ? and "endedAt" is null', [NOON + 3 * TICK]),
    ('"startedAt" = ?', [NOON + TICK]),
    ('"startedAt" between ? and ?', [NOON + TICK, NOON + 2 * TICK]),
    ('"endedAt" <> ?', [NOON + TICK]),
    ("cost > 0.5 and cost <= 2.0", None),
    ("name like '%\u00e9%' or model = 'GPT-5'", None),
    ("name = $a and model = $b", {"a": "a", "b": "gpt-5"}),
    ("false", None),
]


def answers(store: Any) -> list[Any]:
    """The spans that each WHERE keeps."""
    return [store.sql(f'select "spanId" from spans where {each} order by 1', given).rows() for each, given in WHERE]


@pytest.fixture(scope="module")
def expected() -> list[Any]:
    """What a DuckDB file answers, whose SQL DuckDB runs itself."""
    with colonnade.open(":memory:", observability="duckdb:///:memory:") as store:
        store.observability.batch_create_spans(records=spans())
        return answers(store)


def test_a_store_gives_what_duckdb_would_keep(expected: list[Any], store: Any) -> None:
    found = dict(zip(map(str, WHERE), answers(store), strict=True))
    assert found == dict(zip(map(str, WHERE), expected, strict=True))
    assert sum(map(bool, expected)) > len(WHERE) * 0.8, "most of them keep some"


def test_most_of_it_is_asked_of_the_store(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = store.store_of("observability")
    if type(kept).__module__.startswith("colonnade.engine.stores.embedded"):
        return  # a folder runs SQL over its own files
    asked: list[Scan] = []

    def listened(run: Any) -> Any:
        def heard(plan: Any) -> Any:
            if isinstance(plan, Scan) and plan.table.name == "spans":
                asked.append(plan)
            return run(plan)

        return heard

    for name in ("batches", "execute"):
        monkeypatch.setattr(kept, name, listened(getattr(kept, name)), raising=False)
    left = []
    for where, parameters in WHERE:
        asked.clear()
        store.sql(f'select "spanId" from spans where {where}', parameters).rows()
        if all(plan.where == TRUE for plan in asked):
            left.append(where)
    assert left == [
        "model not in (?, ?)",
        '"isEvent"',
        'not "isEvent"',
        "cost > 0.5 and cost <= 2.0",
        "name like '%\u00e9%' or model = 'GPT-5'",
        "false",
    ], "which the page tells"
