"""What is said where nothing of a name is there to compare: the name that was meant, or those that there are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from typing import Final

import polars as pl

from colonnade.engine.plan import TRUE, Filter, Measure, Scan, Steps, Summarize, desc, rows
from colonnade.errors import InvalidInput
from colonnade.queries.comparing.observations import column_of, texts_of
from colonnade.queries.selection_words import in_words
from colonnade.schemas.table import Table

_LISTED: Final = 10


def check_there(
    table: Table, place: str, wanted: Iterable[str], found: pl.Series, where: Filter, time: str, what: str
) -> Steps[None]:
    """``InvalidInput`` where a wanted value is neither among those found nor anywhere in a column where a filter holds.

    The store is asked for the values that there are only where one was not found.
    """
    seen = set(found.drop_nulls())
    missing = [name for name in wanted if name not in seen]
    if missing:
        if "." in place:  # inside JSON, where no store groups
            scan = Scan(table, where, (desc(time),), columns=(column_of(place),))
            known = texts_of(pl.DataFrame((yield from rows(scan))), place)
        else:
            counted = Summarize(table, (place,), (Measure("max", time, "last"),), where)
            known = pl.DataFrame((yield from rows(counted))).sort("last", descending=True)[place].cast(pl.String)
        known = known.drop_nulls().unique(maintain_order=True)
        if not known.len():
            among = "" if where == TRUE else f" where {in_words(where)}"
            raise InvalidInput(f"no {what} has a {place}{among}, so there is nothing to compare")
        check_known(what, place, missing, known.to_list())


def check_known(what: str, place: str, wanted: Iterable[str], known: Sequence[str]) -> None:
    """``InvalidInput`` for the first wanted value that is not known, with the nearest that is."""
    for name in wanted:
        if name not in known:
            raise InvalidInput(f"no {what} has {place} {name!r}; {_offer(name, known)}")


def _offer(name: str, known: Collection[str]) -> str:
    if near := get_close_matches(name, known, n=1, cutoff=0.6):
        return f"did you mean {near[0]!r}?"
    more = f" and {len(known) - _LISTED:,} more" if len(known) > _LISTED else ""
    return f"there {'is' if len(known) == 1 else 'are'} {', '.join(map(repr, list(known)[:_LISTED]))}{more}"
