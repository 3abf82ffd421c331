"""The list of traces: its filters, each with traces that match and traces that do not, its order and its pages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from colonnade.engine.domains.trace_filters import EQUAL, FILTERS
from colonnade.errors import InvalidInput
from colonnade.schemas import SPANS

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)


def root(trace_id: str, **more: Any) -> dict[str, Any]:
    return {"traceId": trace_id, "spanId": f"root of {trace_id}", "name": "run", "startedAt": NOON, **more}


def child(trace_id: str, **more: Any) -> dict[str, Any]:
    return {**root(trace_id), "spanId": "child", "parentSpanId": f"root of {trace_id}", **more}


def keep(storage: Any, *spans: dict[str, Any]) -> None:
    storage.observability.batch_create_spans(records=spans)


def listed(storage: Any, **arguments: Any) -> list[str]:
    return [span["traceId"] for span in storage.observability.list_traces(**arguments)["spans"]]


def matching(storage: Any, **filters: Any) -> set[str]:
    return set(listed(storage, filters=filters))


# --- what is listed ---


def test_a_trace_is_listed_by_its_root_span_alone(storage: Any) -> None:
    keep(storage, root("a", input={"q": 1}, scope={"v": 1}), child("a"), child("orphan"), child("b"), root("b"))

    answer = storage.observability.list_traces()

    assert answer["pagination"] == {"total": 2, "page": 0, "perPage": 10, "hasMore": False}
    whole = storage.observability.get_root_span(trace_id="a")["span"]
    assert [span["traceId"] for span in answer["spans"]] == ["a", "b"]
    assert answer["spans"][0] == {**whole, "traceStatus": "running"}


def test_listTraces_rows_carry_a_computed_status_beside_that_of_OpenTelemetry(storage: Any) -> None:
    ok = {"code": 1}
    keep(
        storage,
        root("failed", error={"message": "x"}, endedAt=NOON, status=ok),
        root("failing", error="x"),
        root("open"),
        root("done", endedAt=NOON, status=ok),
    )
    for answer in (storage.observability.list_traces(), storage.observability.list_traces_light()):
        found = {span["traceId"]: (span["traceStatus"], span["status"]) for span in answer["spans"]}
        assert found == {
            "failed": ("error", ok),
            "failing": ("error", None),
            "open": ("running", None),
            "done": ("success", ok),
        }


def test_light_traces_leave_out_what_may_be_wide(storage: Any) -> None:
    keep(storage, root("a", input="wide", output="wide", metadata={"k": 1}), root("b", startedAt=NOON - SECOND))
    arguments: dict[str, Any] = {"filters": {"metadata": {"k": 1}}, "pagination": {"perPage": 5}}

    full = storage.observability.list_traces(**arguments)
    light = storage.observability.list_traces_light(**arguments)

    wide = {column.name for column in SPANS.columns.values() if column.payload}
    assert wide == {"input", "output", "attributes", "events", "links", "other"}
    narrow = [{name: value for name, value in span.items() if name not in wide} for span in full["spans"]]
    assert light == {**full, "spans": narrow}


# --- filters ---


def test_without_filters_everything_matches(storage: Any) -> None:
    keep(storage, root("a"), root("b"))

    empty: dict[str, Any] = {"scope": {}, "metadata": {}, "tags": [], "startedAt": {}, "endedAt": {"start": None}}
    for filters in (None, {}, dict.fromkeys(FILTERS), empty):
        assert set(listed(storage, filters=filters)) == {"a", "b"}


def test_a_filter_by_a_column_is_equality_on_the_root_span(storage: Any) -> None:
    for name in EQUAL:
        other = root(f"other {name}", **{name: "Wanted"})
        keep(storage, root(name, **{name: "wanted"}), other, child(f"other {name}", **{name: "wanted"}))

    assert {name: matching(storage, **{name: "wanted"}) for name in EQUAL} == {name: {name} for name in EQUAL}
    assert len(EQUAL) == 14


WINDOWS: list[tuple[dict[str, Any], set[str]]] = [
    ({"start": NOON}, {"at", "after"}),
    ({"end": NOON}, {"before", "at"}),
    ({"start": NOON, "end": NOON}, {"at"}),
    ({"start": NOON, "startExclusive": True}, {"after"}),
    ({"end": NOON, "endExclusive": True}, {"before"}),
    ({"start": NOON, "end": NOON, "startExclusive": False, "endExclusive": "true"}, set()),
    ({"start": "2026-01-31T13:00:00+01:00", "end": None}, {"at", "after"}),
    ({"start": NOON + 2 * TICK}, set()),
]


@pytest.mark.parametrize("name", ["startedAt", "endedAt"])
def test_ranges_of_time_are_inclusive_unless_said_otherwise(storage: Any, name: str) -> None:
    for trace_id, moment in {"before": NOON - TICK, "at": NOON, "after": NOON + TICK}.items():
        keep(storage, root(trace_id, **{"endedAt": NOON, name: moment}))

    for window, expected in WINDOWS:
        assert matching(storage, **{name: window}) == expected, window


def test_a_range_of_ends_never_matches_running_traces(storage: Any) -> None:
    keep(storage, root("running"), root("ended", endedAt=NOON))

    assert matching(storage, endedAt={"start": NOON - SECOND}) == {"ended"}
    assert matching(storage, endedAt={"end": NOON + SECOND}) == {"ended"}


def test_a_filter_by_scope_looks_at_its_name_or_into_the_object(storage: Any) -> None:
    keep(
        storage, root("text", scope="lib"), root("object", scope={"name": "lib", "v": 1, "a": {"b": [1]}}), root("none")
    )

    assert matching(storage, scope="lib") == {"text", "object"}
    assert matching(storage, scope="li") == set()
    assert matching(storage, scope={"name": "lib"}) == {"object"}
    assert matching(storage, scope={"v": 1, "a": {"b": [1]}}) == {"object"}
    assert matching(storage, scope={"v": 1, "a": {"b": [2]}}) == set()
    assert matching(storage, scope={"v": "1"}) == set()


STORED: dict[str, Any] = {
    "text": "pro",
    "one": 1,
    "yes": True,
    "nothing": None,
    "half": 0.5,
    "list": [1, {"a": None}],
    "deep": {"a": 1, "b": {"c": []}},
    "odd key.with 'quotes\"": "x",
    "big": 2**60 + 1,
}


def test_a_filter_by_metadata_is_deep_equality_of_every_given_key(storage: Any) -> None:
    keep(storage, root("yes", metadata=STORED), root("no", metadata={"other": 1}), root("none"))

    for key, value in STORED.items():
        assert matching(storage, metadata={key: value}) == {"yes"}, key
        assert matching(storage, metadata={key: value, "text": "pro"}) == {"yes"}, key
        assert matching(storage, metadata={key: value, "absent": 1}) == set(), key


DIFFERENT: list[dict[str, Any]] = [
    {"text": "Pro"},
    {"one": "1"},
    {"one": True},
    {"yes": 1},
    {"yes": "true"},
    {"nothing": False},
    {"absent": None},
    {"list": [1]},
    {"list": [{"a": None}, 1]},
    {"deep": {"a": 1}},
    {"deep": {"a": 1, "b": {"c": []}, "d": 1}},
    {"big": 2**60},
]


def test_metadata_values_are_typed_and_whole(storage: Any) -> None:
    keep(storage, root("no", metadata=STORED))

    assert [metadata for metadata in DIFFERENT if matching(storage, metadata=metadata)] == []


def test_metadata_is_found_by_what_was_written(storage: Any) -> None:
    written = {"at": NOON, "pair": (1, 2)}
    keep(storage, root("yes", metadata=written), root("no"))

    assert matching(storage, metadata=written) == {"yes"}


def test_all_given_tags_must_be_there(storage: Any) -> None:
    keep(
        storage, root("both", tags=["b", "a", "c"]), root("one", tags=["a"]), root("longer", tags=["ab"]), root("none")
    )

    assert matching(storage, tags=["a"]) == {"both", "one"}
    assert matching(storage, tags=["a", "b"]) == {"both"}
    assert matching(storage, tags=["d"]) == set()


def test_status_is_error_running_or_success(storage: Any) -> None:
    keep(
        storage,
        root("failed", error={"message": "x"}, endedAt=NOON),
        root("failing", error=False),
        root("open", status={"code": 2}),
        root("done", endedAt=NOON),
    )
    keep(storage, child("done", error="x"))

    assert matching(storage, status="error") == {"failed", "failing"}
    assert matching(storage, status="running") == {"open"}
    assert matching(storage, status="success") == {"done"}


def test_hasChildError_is_about_any_span_of_the_trace_the_root_included(storage: Any) -> None:
    keep(storage, root("in root", error="x"), root("in child"), child("in child", error={"m": 1}))
    keep(storage, root("fine"), child("fine"), child("gone", error="x"))

    for true, false in ((True, False), ("true", "false")):
        assert matching(storage, hasChildError=true) == {"in root", "in child"}
        assert matching(storage, hasChildError=false) == {"fine"}


def test_all_filters_must_hold(storage: Any) -> None:
    keep(storage, root("yes", userId="ada", tags=["a"]), root("no", userId="ada"), root("neither", tags=["a"]))

    assert matching(storage, userId="ada", tags=["a"], hasChildError=False, status="running") == {"yes"}


REFUSED: list[tuple[Any, str]] = [
    ({"userid": "ada"}, "filters has no 'userid'; did you mean 'userId'"),
    ({"quux": 1}, "filters has no 'quux'; there are startedAt, endedAt"),
    ("userId", "filters must be an object"),
    ({"userId": 7}, "userId must be text"),
    ({"status": "ok"}, "status is one of error, running, success"),
    ({"hasChildError": "yes"}, "hasChildError must be True or False"),
    ({"hasChildError": 1}, "hasChildError must be True or False"),
    ({"tags": "a"}, "tags must be a list of texts"),
    ({"tags": 7}, "tags must be a list of texts"),
    ({"tags": [1]}, "tags must be a list of texts"),
    ({"metadata": "a"}, "metadata must be an object"),
    ({"metadata": {1: 2}}, "metadata must be an object"),
    ({"metadata": {"a": object()}}, "object has no JSON form"),
    ({"scope": 7}, "scope must be an object with texts as keys or text"),
    ({"startedAt": NOON}, "startedAt must be an object"),
    ({"startedAt": {"from": NOON}}, "startedAt has no 'from'"),
    ({"startedAt": {"start": NOON, "startExclusive": "no"}}, "startExclusive must be True or False"),
    ({"endedAt": {"end": "2026-01-31T12:00:00"}}, "is a naive datetime"),
]


@pytest.mark.above_the_waist
def test_what_is_no_filter_is_refused(storage: Any) -> None:
    for filters, sentence in REFUSED:
        with pytest.raises(InvalidInput) as refused:
            storage.observability.list_traces(filters=filters)
        assert sentence in str(refused.value)


# --- order ---


def test_the_newest_start_comes_first_and_ids_break_ties(storage: Any) -> None:
    old = NOON - TICK
    keep(storage, root("b"), root("d", startedAt=old), root("a"), root("c", startedAt=NOON + TICK))
    keep(storage, {**root("a"), "spanId": "z"})  # a second root

    first = storage.observability.list_traces()["spans"]
    assert [(span["traceId"], span["spanId"]) for span in first] == [
        ("c", "root of c"),
        ("a", "root of a"),
        ("a", "z"),
        ("b", "root of b"),
        ("d", "root of d"),
    ]


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        (None, ["new", "mid", "old"]),
        ({}, ["new", "mid", "old"]),
        ({"direction": "ASC"}, ["old", "mid", "new"]),
        ({"field": "startedAt", "direction": "asc"}, ["old", "mid", "new"]),
        ({"field": "startedAt", "direction": "DESC"}, ["new", "mid", "old"]),
        ({"field": "endedAt"}, ["mid", "old", "new"]),
        ({"field": "endedAt", "direction": "DESC"}, ["mid", "old", "new"]),
        ({"field": "endedAt", "direction": "ASC"}, ["new", "old", "mid"]),
    ],
)
def test_order_by_endedAt_has_running_traces_first_descending_and_last_ascending(
    storage: Any, order_by: Any, expected: list[str]
) -> None:
    keep(storage, root("old", startedAt=NOON - SECOND, endedAt=NOON + 3 * SECOND))
    keep(storage, root("mid"), root("new", startedAt=NOON + SECOND, endedAt=NOON + 2 * SECOND))

    assert listed(storage, order_by=order_by) == expected


@pytest.mark.above_the_waist
def test_what_is_no_order_is_refused(storage: Any) -> None:
    bad = [{"field": "name"}, {"field": 1}, {"direction": "up"}, {"direction": 1}, {"by": "startedAt"}, "ASC"]
    for order_by in bad:
        with pytest.raises(InvalidInput, match="order"):
            storage.observability.list_traces(order_by=order_by)


# --- pages ---


def test_pages_cover_the_list_without_gap_or_overlap(storage: Any) -> None:
    names = [f"trace {n:02}" for n in range(23)]
    keep(storage, *(root(name) for name in names))  # all of the same moment
    keep(storage, root("apart", userId="ada"))

    pages = [
        storage.observability.list_traces(pagination={"page": page, "perPage": 7}, filters={"hasChildError": False})
        for page in range(5)
    ]

    assert [span["traceId"] for page in pages for span in page["spans"]] == ["apart", *names]
    assert [len(page["spans"]) for page in pages] == [7, 7, 7, 3, 0]
    assert [page["pagination"] for page in pages] == [
        {"total": 24, "page": page, "perPage": 7, "hasMore": page < 3} for page in range(5)
    ]


def test_a_page_has_ten_traces_unless_said_otherwise(storage: Any) -> None:
    keep(storage, *(root(f"{n}") for n in range(12)))

    for pagination in (None, {}, {"page": 0}, {"perPage": None}, {"page": "0", "perPage": "10"}):
        answer = storage.observability.list_traces(pagination=pagination)
        assert len(answer["spans"]) == 10, pagination
        assert answer["pagination"] == {"total": 12, "page": 0, "perPage": 10, "hasMore": True}


def test_1_to_100_traces_a_page_also_as_text(storage: Any) -> None:
    keep(storage, root("a"), root("b"), root("c"))

    for per_page, shown in ((1, 1), ("2", 2), (100, 3), ("100", 3)):
        answer = storage.observability.list_traces(pagination={"page": "0", "perPage": per_page})
        assert len(answer["spans"]) == shown
        assert answer["pagination"] == {"total": 3, "page": 0, "perPage": int(per_page), "hasMore": shown < 3}


NO_PAGES: list[Any] = [
    {"perPage": 0},
    {"perPage": 101},
    {"perPage": -1},
    {"perPage": "0"},
    {"perPage": "many"},
    {"perPage": False},
    {"perPage": 1.5},
    {"page": -1},
    {"page": "-1"},
    {"page": True},
    {"page": 2**62},
    {"per_page": 10},
    [0, 10],
]


@pytest.mark.above_the_waist
def test_what_is_no_page_is_refused(storage: Any) -> None:
    keep(storage, root("a"))
    for pagination in NO_PAGES:
        with pytest.raises(InvalidInput, match=r"page|perPage|pagination"):
            storage.observability.list_traces(pagination=pagination)
