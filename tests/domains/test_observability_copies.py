"""However the copies of spans arrive, in any order and any number of times, the same is kept."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
KEPT_AT = {"createdAt", "updatedAt"}  # when a copy came, which is not what it says

# The storage is one for all examples, and each begins by emptying it. A quarter of the usual examples, since each
# of them writes many times.
shared_storage = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=settings().max_examples // 4
)


def start(number: int) -> dict[str, Any]:
    return {"traceId": f"t{number % 2}", "spanId": f"s{number}", "name": "chat", "startedAt": NOON, "input": number}


def end(number: int) -> dict[str, Any]:
    return {**start(number), "endedAt": NOON + timedelta(seconds=number), "output": {"n": number}}


copies = st.integers(0, 3).flatmap(lambda number: st.sampled_from([start(number), end(number)]))


def state(storage: Any) -> dict[tuple[str, str], dict[str, Any]]:
    traces = [storage.observability.get_trace(trace_id=f"t{n}") for n in range(2)]
    return {
        (span["traceId"], span["spanId"]): {name: value for name, value in span.items() if name not in KEPT_AT}
        for trace in traces
        if trace
        for span in trace["spans"]
    }


def written(storage: Any, batches: list[list[dict[str, Any]]]) -> dict[tuple[str, str], dict[str, Any]]:
    storage.observability.dangerously_clear_all()
    for batch in batches:
        if len(batch) == 1:
            storage.observability.create_span(span=batch[0])
        else:
            storage.observability.batch_create_spans(records=batch)
    return state(storage)


@shared_storage
@given(st.lists(st.lists(copies, min_size=1, max_size=6), min_size=1, max_size=4))
def test_copies_in_any_order_and_number_leave_the_fullest_of_each_span(
    storage: Any, batches: list[list[dict[str, Any]]]
) -> None:
    arrived = [copy for batch in batches for copy in batch]
    once = {copy["spanId"]: copy for copy in arrived}
    once |= {copy["spanId"]: copy for copy in arrived if "endedAt" in copy}

    assert written(storage, batches) == written(storage, [list(once.values())])


@shared_storage
@given(
    st.lists(
        st.sampled_from([{"endedAt": None, "output": "so far"}, {"endedAt": NOON, "output": "done"}]),
        min_size=1,
        max_size=5,
    )
)
def test_updates_in_one_batch_leave_what_the_same_updates_leave_one_by_one(
    storage: Any, updates: list[dict[str, Any]]
) -> None:
    written(storage, [[start(0)]])
    for one in updates:
        storage.observability.update_span(trace_id="t0", span_id="s0", updates=one)
    expected = state(storage)

    written(storage, [[start(0)]])
    records = [{"traceId": "t0", "spanId": "s0", "updates": one} for one in updates]
    storage.observability.batch_update_spans(records=records)

    assert state(storage) == expected
    done = any(one["endedAt"] for one in updates)
    assert expected["t0", "s0"]["output"] == ("done" if done else "so far")
