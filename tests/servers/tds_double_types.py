"""The types of T-SQL that the TDS double knows."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from tests.servers.tds_double_values import error

TEXTS: Final = ("nvarchar", "varchar")
NUMBERS: Final = ("bigint", "int", "smallint", "tinyint", "bit", "float", "decimal")
_SIZES: Final = {"nvarchar": (30, 4000), "varchar": (30, 8000), "varbinary": (30, 8000), "binary": (30, 8000)}
"""The size of a CAST that names none, and the greatest but MAX."""
_NAMES: Final = {
    "double": "float",
    "nchar": "nvarchar",
    "char": "varchar",
    "text": "nvarchar",
    "numeric": "decimal",
    "timestamp": "datetime2",
    "name": "nvarchar",
}


def type_of(node: exp.DataType) -> tuple[str, int]:
    """Its name and its size: letters, bytes, digits of a second or of a decimal; -1 for MAX."""
    kind = str(node.this.value).lower() if isinstance(node.this, exp.DataType.Type) else str(node.this).lower()
    kind = _NAMES.get(kind, kind)
    given = [each.this.name.lower() for each in node.expressions]
    if kind in _SIZES:
        size = -1 if given == ["max"] else int(given[0]) if given else _SIZES[kind][0]
        if size > _SIZES[kind][1]:
            raise error(131, f"The size ({size}) given to the type '{kind}' exceeds the maximum allowed.")
        return kind, size
    if kind in ("datetime2", "time", "datetimeoffset"):
        return kind, int(given[0]) if given else 7
    if kind == "decimal":
        return kind, int(given[1]) if len(given) > 1 else 0
    if kind in NUMBERS or kind in ("real", "date", "datetime"):
        return kind, -1
    raise error(243, f"Type {kind} is not a defined system type.")


def affinity(kind: str) -> str:
    """What SQLite calls a column of it; none for floats, whose -0.0 a REAL column of SQLite would lose."""
    if kind in TEXTS or kind in ("datetime2", "date", "datetime"):
        return "TEXT"
    return {"float": "", "real": "", "varbinary": "BLOB", "binary": "BLOB", "decimal": ""}.get(kind, "INTEGER")
