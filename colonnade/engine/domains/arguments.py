"""What the dict arguments of the memory domain mean: records to save, filters, orders, ranges of time.

Keys inside them are the API's own, camelCase. A key that is not known is refused: passed over, it would give an answer
wider than the one that was asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Final

from colonnade.engine.plan import TRUE, And, At, Filter, Is, between
from colonnade.errors import InvalidInput
from colonnade.schemas.moments import MICROSECOND
from colonnade.schemas.records import Record, spell_value
from colonnade.schemas.table import Table

_METADATA_KEY: Final = re.compile("[A-Za-z_][A-Za-z0-9_]{0,127}")
# They reach into JavaScript's objects; a filter that other engines must refuse is refused here too.
_FORBIDDEN_KEYS: Final = frozenset({"__proto__", "prototype", "constructor"})


def filled(record: Any, **defaults: Any) -> Any:
    """A record with defaults where it has nothing; what is no dict is left for ``encode`` to refuse."""
    if not isinstance(record, Mapping):
        return record
    return {**defaults, **{name: value for name, value in record.items() if value is not None}}


def merged(stored: Any, given: Mapping[str, Any]) -> Record:
    """The shallow merge of two objects: given keys win. Stored JSON that is no object has no keys."""
    return {**(stored if isinstance(stored, dict) else {}), **given}


def metadata_object(value: Any) -> Mapping[str, Any] | None:
    """Metadata to store: a dict or ``None``."""
    if value is not None and not isinstance(value, Mapping):
        raise InvalidInput(f"metadata must be a dict, not {type(value).__name__}")
    return value


def later(now: datetime, stored: datetime) -> datetime:
    """When a row changes: now, and after its last change whatever clock that was taken from."""
    return max(now, stored + MICROSECOND)


def options(given: Any, what: str, known: Collection[str]) -> Mapping[str, Any]:
    """A dict of optional keys, those without a value left out."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InvalidInput(f"{what} must be a dict, not {type(given).__name__}")
    if unknown := [key for key in given if key not in known]:
        raise InvalidInput(f"{what} has no key {unknown[0]!r}; it has {', '.join(known)}")
    return {key: value for key, value in given.items() if value is not None}


def ids_of(given: Any, what: str) -> tuple[str, ...]:
    """Ids as a tuple, each once."""
    ids = listed(given, what)
    if not all(isinstance(id, str) for id in ids):
        raise InvalidInput(f"{what} must be a list of ids, not {given!r:.80}")
    return tuple(dict.fromkeys(ids))


def listed(given: Any, what: str) -> tuple[Any, ...]:
    """A list as a tuple.

    What can be read only once is refused, since an operation may run again from its start; so are one text, which would
    be taken for a list of letters, and one dict, for a list of keys.
    """
    if not isinstance(given, Collection) or isinstance(given, str | bytes | Mapping):
        raise InvalidInput(f"{what} must be a list, not {given!r:.80}")
    return tuple(given)


def field_and_direction(order_by: Any, fields: Collection[str], field: str, direction: str) -> tuple[str, bool]:
    """The field of an order and whether it is descending; what is unknown falls back to the default given."""
    if order_by is not None and not isinstance(order_by, Mapping):
        raise InvalidInput(
            f"order_by must be a dict like {{'field': {field!r}, 'direction': 'ASC'}}, not {order_by!r:.80}"
        )
    given = order_by or {}
    asked = str(given.get("direction") or "").upper()
    return (
        given["field"] if given.get("field") in fields else field,
        (asked if asked in ("ASC", "DESC") else direction) == "DESC",
    )


def time_range(table: Table, column: str, given: Any) -> Filter:
    """``{start, end, startExclusive, endExclusive}`` over a timestamp column, inclusive unless said otherwise."""
    known = options(given, "dateRange", ("start", "end", "startExclusive", "endExclusive"))
    start, end = (spell_value(table, column, known.get(edge)) for edge in ("start", "end"))
    return between(
        column,
        start,
        end,
        start_exclusive=bool(known.get("startExclusive")),
        end_exclusive=bool(known.get("endExclusive")),
    )


def metadata_is(given: Any, place: Callable[[str], At], *, scalars: bool = False) -> Filter:
    """Every given key of a metadata object has exactly the given value: typed, deep, ``None`` for JSON's null.

    With ``scalars`` a value is a text, a finite number, a boolean or ``None``.
    """
    if given is None:
        return TRUE
    if not isinstance(given, Mapping):
        raise InvalidInput(f"filter's metadata must be a dict, not {type(given).__name__}")
    parts = []
    for key, value in given.items():
        if not isinstance(key, str) or not _METADATA_KEY.fullmatch(key) or key in _FORBIDDEN_KEYS:
            raise InvalidInput(
                f"Invalid metadata key: {key!r:.140}; a key is up to 128 letters, digits and underscores, does not "
                f"begin with a digit, and is none of {', '.join(sorted(_FORBIDDEN_KEYS))}"
            )
        if scalars and not _is_scalar(value):
            raise InvalidInput(
                f"Invalid metadata value of {key}: {value!r:.80}; give a text, a finite number, a boolean or None"
            )
        parts.append(Is(place(key), "=", value))
    return And(tuple(parts))


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))
