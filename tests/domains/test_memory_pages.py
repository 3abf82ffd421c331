"""Pagination that all lists share, apart from any store: which plans a page runs, and what it says of itself."""

from typing import Any

import pytest

from colonnade.engine.domains.pages import FARTHEST, Page, flat, nested, paged, slice_of
from colonnade.engine.plan import TRUE, Plan, Scan, Steps, Summarize, asc
from colonnade.errors import InvalidInput
from colonnade.schemas.memory import THREADS
from colonnade.schemas.records import encode

NOON = "2026-01-31T12:00:00Z"
ALL = encode(
    THREADS, [{"id": f"t{i}", "resourceId": "r", "title": "", "createdAt": NOON, "updatedAt": NOON} for i in range(5)]
)


def answered(steps: Steps[Any], found: Any) -> tuple[Any, list[Plan]]:
    """Run steps whose scans give rows and whose counts give 5; also which plans there were."""
    plans: list[Plan] = []
    answer = None
    while True:
        try:
            plan = steps.send(answer)
        except StopIteration as stop:
            return stop.value, plans
        plans.append(plan)
        if isinstance(plan, Summarize):
            answer = ALL.select(["id"]).group_by([]).aggregate([([], "count_all")]).rename_columns(["count"])
        else:
            answer = found


@pytest.mark.parametrize(
    ("page", "per_page", "default", "expected"),
    [
        (0, None, 40, Page(0, 40)),
        (None, None, 40, Page(0, 40)),
        (2, 10, 40, Page(2, 10)),
        (0, 0, 40, Page(0, 0)),
        (3, 0, 40, Page(3, 0)),
        (0, False, 40, Page(0, None)),
        (0, None, None, Page(0, None)),
        (0, 10**30, 40, Page(0, 10**30)),
    ],
)
def test_arguments_as_a_page(page: Any, per_page: Any, default: int | None, expected: Page) -> None:
    assert slice_of(page, per_page, default) == expected


@pytest.mark.parametrize(
    ("page", "per_page", "says"),
    [
        (0, -1, "per_page must be >= 0, not -1"),
        (-1, 10, "page must be >= 0, not -1"),
        (1, False, "page must be 0 when per_page is False"),
        (2**53, 10, "page value too large"),
        (0, True, "per_page must be a whole number, or False for everything, not True"),
        (False, 10, "page must be a whole number, not False"),
        (0, "10", "per_page must be a whole number"),
        (1.0, 10, "page must be a whole number"),
    ],
)
def test_arguments_that_are_no_page(page: Any, per_page: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        slice_of(page, per_page, 40)


def test_the_farthest_page_is_one_and_the_next_is_not() -> None:
    assert slice_of(FARTHEST, 1, 40).offset == FARTHEST
    with pytest.raises(InvalidInput, match="page value too large"):
        slice_of(FARTHEST + 1, 1, 40)


def test_a_page_of_no_rows_runs_no_plan() -> None:
    assert answered(paged(THREADS, TRUE, (asc("id"),), Page(0, 0)), ALL) == (([], 0), [])


def test_a_full_page_is_counted() -> None:
    (records, total), plans = answered(paged(THREADS, TRUE, (asc("id"),), Page(1, 2)), ALL.slice(2, 2))

    assert [record["id"] for record in records] == ["t2", "t3"]
    assert total == 5
    assert plans == [Scan(THREADS, TRUE, (asc("id"),), limit=2, offset=2), Summarize(THREADS)]


@pytest.mark.parametrize(
    ("page", "found"), [(Page(0, None), ALL), (Page(0, 6), ALL), (Page(1, 3), ALL.slice(3, 2)), (Page(0, 3), ALL[:0])]
)
def test_a_page_that_shows_where_the_list_ends_is_not_counted(page: Page, found: Any) -> None:
    (_, total), plans = answered(paged(THREADS, TRUE, (asc("id"),), page), found)

    assert total == page.offset + found.num_rows
    assert len(plans) == 1


def test_a_page_after_the_end_is_counted() -> None:
    assert answered(paged(THREADS, TRUE, (asc("id"),), Page(9, 2)), ALL[:0])[0] == ([], 5)


@pytest.mark.parametrize(
    ("page", "total", "facts"),
    [
        (Page(0, 2), 5, {"total": 5, "page": 0, "perPage": 2, "hasMore": True}),
        (Page(2, 2), 5, {"total": 5, "page": 2, "perPage": 2, "hasMore": False}),
        (Page(0, 5), 5, {"total": 5, "page": 0, "perPage": 5, "hasMore": False}),
        (Page(0, None), 5, {"total": 5, "page": 0, "perPage": False, "hasMore": False}),
        (Page(0, 0), 0, {"total": 0, "page": 0, "perPage": 0, "hasMore": False}),
    ],
)
def test_the_two_shapes_of_answers(page: Page, total: int, facts: dict[str, Any]) -> None:
    assert flat("threads", [{"id": "t"}], total, page) == {"threads": [{"id": "t"}], **facts}
    assert nested("scores", [{"id": "s"}], total, page) == {"scores": [{"id": "s"}], "pagination": facts}
