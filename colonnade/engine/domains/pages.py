"""Pages: the pagination that all lists of the storage API share.

The first page is 0. ``per_page`` is a number of rows, ``False`` for everything, ``None`` for the list's default; 0 asks
for no rows, and then nothing is counted either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from colonnade.engine.plan import Filter, Order, Scan, Steps, count, records
from colonnade.errors import InvalidInput
from colonnade.schemas.records import Record
from colonnade.schemas.table import Table

PerPage = int | Literal[False] | None
"""Rows on a page; ``False`` is everything, ``None`` the list's default."""

FARTHEST: Final = (2**53 - 1) // 2
"""The farthest row that a page may begin at: half of the largest integer that every JSON reader keeps exactly."""


@dataclass(frozen=True, slots=True)
class Page:
    """A slice of a list: ``size`` rows from page ``number`` on; everything where ``size`` is ``None``."""

    number: int
    size: int | None

    @property
    def limit(self) -> int | None:
        """Rows to read at most."""
        return None if self.size is None else min(self.size, FARTHEST)

    @property
    def offset(self) -> int:
        """Rows to skip."""
        return self.number * (self.size or 0)

    @property
    def echo(self) -> int | Literal[False]:
        """``perPage`` as answers give it: ``False`` where it is everything."""
        return False if self.size is None else self.size

    def has_more(self, total: int) -> bool:
        """Whether rows follow this page in a list of ``total`` rows."""
        return self.size is not None and self.offset + self.size < total


def slice_of(page: int | None, per_page: PerPage, default: int | None) -> Page:
    """Check the pagination arguments of a list; ``default`` is its rows per page, ``None`` for everything.

    ``InvalidInput`` for what is negative or no whole number, for any page but 0 of everything, and for a page that
    begins after ``FARTHEST``.
    """
    number = 0 if page is None else whole("page", page)
    if per_page is False:
        if number:
            raise InvalidInput(f"page must be 0 when per_page is False, which is everything; it is {number}")
        return Page(0, None)
    size = default if per_page is None else whole("per_page", per_page)
    if number * (size or 0) > FARTHEST:
        raise InvalidInput(f"page value too large: {number}")
    return Page(number, size)


def whole(name: str, value: object) -> int:
    """A number of rows: whole, not negative; ``InvalidInput`` names it otherwise."""
    if isinstance(value, bool) or not isinstance(value, int):
        also = ", or False for everything" if name == "per_page" else ""
        raise InvalidInput(f"{name} must be a whole number{also}, not {value!r:.80}")
    if value < 0:
        raise InvalidInput(f"{name} must be >= 0, not {value}")
    return value


def paged(
    table: Table, where: Filter, order: tuple[Order, ...], page: Page, columns: tuple[str, ...] | None = None
) -> Steps[tuple[list[Record], int]]:
    """The records of a page, and how many rows the whole list has."""
    if page.size == 0:
        return [], 0
    found = yield from records(Scan(table, where, order, limit=page.limit, offset=page.offset, columns=columns))
    # A page that is not full is the last one: where it ends, the list ends, and nothing has to be counted.
    if page.size is None or 0 < len(found) < page.size or not (found or page.offset):
        total = page.offset + len(found)
    else:
        total = yield from count(table, where)
    return found, total


def flat(name: str, items: list[Record], total: int, page: Page) -> Record:
    """The flat answer of a list: ``{<name>, total, page, perPage, hasMore}``."""
    return {name: items, **_facts(total, page)}


def nested(name: str, items: list[Record], total: int, page: Page) -> Record:
    """The nested answer of a list: ``{<name>, pagination: {total, page, perPage, hasMore}}``."""
    return {name: items, "pagination": _facts(total, page)}


def _facts(total: int, page: Page) -> dict[str, Any]:
    return {"total": total, "page": page.number, "perPage": page.echo, "hasMore": page.has_more(total)}
