"""The array output of a forEach, written by several workers, merged slot by slot."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.engine.domains.workflows import PENDING, merged_result

MARK = {PENDING: True}
SUSPENDED = {"status": "suspended", "suspendPayload": {}}
DONE = {"status": "success", "output": 1}


@pytest.mark.parametrize(
    ("stored", "new", "merged"),
    [
        pytest.param([1, 2], [3, 4], [3, 4], id="a value replaces its slot"),
        pytest.param([1, 2], [None, 4], [1, 4], id="null keeps the stored slot"),
        pytest.param([1], [None, None], [1, None], id="null beyond the stored length is null"),
        pytest.param([1], [None, 5], [1, 5], id="a value beyond the stored length is kept"),
        pytest.param([1, 2, 3], [4], [4, 2, 3], id="stored slots beyond the new length stay"),
        pytest.param([1], [0], [0], id="zero is a value"),
        pytest.param([1], [False], [False], id="false is a value"),
        pytest.param([None, 2], [MARK, None], [None, 2], id="a marker over null resets"),
        pytest.param([], [MARK], [None], id="a marker beyond the stored length is null"),
        pytest.param([MARK], [MARK], [None], id="a marker over a marker resets"),
        pytest.param([SUSPENDED], [MARK], [None], id="a marker over a suspended result resets"),
        pytest.param([DONE, 0, "x"], [MARK, MARK, MARK], [DONE, 0, "x"], id="a marker over a finished result does not"),
        pytest.param([1, SUSPENDED], [9, MARK], [1, None], id="beside a marker, plain values are ignored"),
        pytest.param([1], [9, 8, MARK], [1, None, None], id="beside a marker, values beyond are ignored too"),
        pytest.param([1], [{PENDING: False}], [{PENDING: False}], id="only true makes a marker"),
    ],
)
def test_slots(stored: list[Any], new: list[Any], merged: list[Any]) -> None:
    assert merged_result({"output": stored}, {"output": new}) == {"output": merged}


def test_without_markers_the_rest_of_the_result_is_spread_over_the_stored_one() -> None:
    stored = {"status": "running", "startedAt": 1, "output": [1, None]}

    assert merged_result(stored, {"status": "success", "endedAt": 2, "output": [None, 2]}) == {
        "status": "success",
        "startedAt": 1,
        "endedAt": 2,
        "output": [1, 2],
    }


def test_with_markers_only_the_output_changes() -> None:
    stored = {"status": "suspended", "output": [1, SUSPENDED]}

    assert merged_result(stored, {"status": "running", "resumedAt": 3, "output": [None, MARK]}) == {
        "status": "suspended",
        "output": [1, None],
    }


@pytest.mark.parametrize(
    ("stored", "new"),
    [
        (None, {"output": [1]}),
        ({"output": "text"}, {"output": [None, 1]}),
        ({"output": [1]}, {"output": {"0": 2}}),
        ({"output": [1]}, {"status": "failed"}),
        ({"output": [1]}, "a result that is no object"),
        ({"status": "running"}, {"output": [MARK]}),
    ],
)
def test_unless_both_outputs_are_arrays_the_new_result_replaces(stored: Any, new: Any) -> None:
    assert merged_result(stored, new) == new


def test_neither_result_is_changed_by_merging() -> None:
    stored, new = {"output": [1, None]}, {"output": [None, 2]}
    merged_result(stored, new)

    assert (stored, new) == ({"output": [1, None]}, {"output": [None, 2]})


def test_workers_that_each_report_their_slot_may_come_in_any_order() -> None:
    reports = [{"output": [slot if slot == place else None for slot in range(4)]} for place in range(4)]

    for order in permutations(reports):
        result: Any = {"output": []}
        for report in order:
            result = merged_result(result, report)
        assert result == {"output": [0, 1, 2, 3]}


VALUES = st.none() | st.integers() | st.just(MARK) | st.just(SUSPENDED)


@given(st.lists(VALUES), st.lists(VALUES))
def test_the_longer_length_holds_and_the_same_report_twice_changes_nothing(stored: list[Any], new: list[Any]) -> None:
    once = merged_result({"output": stored}, {"output": new})

    assert len(once["output"]) == max(len(stored), len(new))
    assert merged_result(once, {"output": new}) == once


@given(st.lists(VALUES), st.lists(VALUES))
def test_a_report_with_a_marker_never_changes_a_finished_slot(stored: list[Any], new: list[Any]) -> None:
    merged = merged_result({"output": stored}, {"output": [*new, MARK]})["output"]

    for before, after in zip(stored, merged, strict=False):
        if before is not None and before not in (MARK, SUSPENDED):
            assert after == before
