"""Filters in the SQL of DataFusion, which LanceDB and Lance read: it binds nothing, so values are spelled here.

This is the only place where a value of a user becomes part of a text that Lance is asked.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from colonnade.engine.dialect import Dialect
from colonnade.engine.plan import Filter
from colonnade.engine.relational import Renderer
from colonnade.schemas.moments import micros_of

_DIALECT: Final = Dialect(
    name="datafusion",
    types={},
    quote="`{name}`",
    # Without flags DataFusion makes LIKE of patterns that are plain text, in which it leaves backslashes as they are.
    contains="regexp_like({column}, {pattern}, 's')",
)


class Spelling(Renderer):
    """Conditions with values in them, spelled."""

    def __init__(self) -> None:
        super().__init__(_DIALECT)

    def condition(self, where: Filter) -> str:
        """A filter as SQL."""
        return self._filter(where)

    def _bind(self, value: Any) -> str:
        return spelled(value)


def spelled(value: Any) -> str:
    """A value as a literal of DataFusion, in which a quote within a text is doubled and nothing else has a meaning."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return f"CAST('{value}' AS BIGINT)"
        case float():
            return f"CAST('{value!r}' AS DOUBLE)"
        case datetime():
            return f"""arrow_cast({spelled(micros_of(value))}, 'Timestamp(Microsecond, Some("UTC"))')"""
        case str():
            return "'" + value.replace("'", "''") + "'"
    raise TypeError(f"{type(value).__name__} has no literal")
