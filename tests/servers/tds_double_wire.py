"""How the TDS double answers: the types and row counts that pysqlbridge itself does not send.

pysqlbridge's results have no row count of a change, no DATETIME2, no VARBINARY(MAX) and no BIGINT of a count; here they
are. A VARCHAR column is sent as NVARCHAR, which no driver that reads texts can tell from it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from pysqlbridge.tds.result import Bit, Column, ColumnType, Float, Integer, NVarChar, QueryError, col_metadata
from pysqlbridge.tds.token import DoneStatus, done
from pysqlbridge.tds.token import error as error_token

ROW = b"\xd1"
COMMANDS = {"SELECT": 0xC1, "INSERT": 0xC3, "DELETE": 0xC4, "UPDATE": 0xC5, "MERGE": 0x117}
"""What a DONE says was done."""
MAX = 0xFFFF
_NULL_MAX = b"\xff" * 8


@dataclass(frozen=True)
class DateTime2(ColumnType):  # type: ignore[misc]
    """DATETIME2(7): a length, five bytes of ten-millionths of a second since midnight, three of days since year 1."""

    def type_info(self) -> bytes:
        """Its declaration."""
        return b"\x2a\x07"

    def encode(self, value: object) -> bytes:
        """One value, which is text as ``values.moment`` writes it."""
        if value is None:
            return b"\x00"
        text = str(value)
        at = datetime.fromisoformat(text[:19])
        ticks = (at.hour * 3600 + at.minute * 60 + at.second) * 10**7 + int(text[20:27].ljust(7, "0"))
        days = at.date().toordinal() - date.min.toordinal()
        return b"\x08" + ticks.to_bytes(5, "little") + days.to_bytes(3, "little")


@dataclass(frozen=True)
class VarBinaryMax(ColumnType):  # type: ignore[misc]
    """VARBINARY(MAX): in chunks, of which there is one."""

    def type_info(self) -> bytes:
        """Its declaration."""
        return b"\xa5" + struct.pack("<H", MAX)

    def encode(self, value: object) -> bytes:
        """One value."""
        if value is None:
            return _NULL_MAX
        raw = value.encode("utf-16-le") if isinstance(value, str) else bytes(value)  # type: ignore[call-overload]
        chunk = struct.pack("<I", len(raw)) + raw if raw else b""
        return struct.pack("<Q", len(raw)) + chunk + struct.pack("<I", 0)


@dataclass(frozen=True)
class NVarCharMax(NVarChar):  # type: ignore[misc]
    """NVARCHAR(MAX), whose empty text ends like any other: FreeTDS waits for the end that pysqlbridge leaves out."""

    max_chars: int | None = None

    def encode(self, value: object) -> bytes:
        """One value."""
        return bytes(super().encode(value)) if value != "" else bytes(12)


def column(name: str, kind: str | None, values: Sequence[Any]) -> Column:
    """A column of a result by the name of its type; where that is not known, by its first value."""
    if kind is None:
        first = next((value for value in values if value is not None), None)
        kind = {int: "bigint", float: "float", bytes: "varbinary"}.get(type(first), "nvarchar" if first else "int")
        if first == "":
            kind = "nvarchar"
    types: dict[str, ColumnType] = {
        "bit": Bit(),
        "int": Integer(4),
        "smallint": Integer(2),
        "tinyint": Integer(1),
        "bigint": Integer(8),
        "float": Float(8),
        "real": Float(4),
        "decimal": Float(8),
        "datetime2": DateTime2(),
        "varbinary": VarBinaryMax(),
    }
    return Column(name, types.get(kind, NVarCharMax()))


@dataclass(frozen=True)
class Rows:
    """What a SELECT or an OUTPUT gave."""

    columns: list[Column]
    rows: list[Any]
    command: str = "SELECT"


@dataclass(frozen=True)
class Count:
    """How many rows a statement changed; null where it says nothing of that."""

    command: str
    count: int | None


@dataclass
class Answer:
    """What all statements of a batch gave, in order."""

    parts: list[Rows | Count | QueryError] = field(default_factory=list)

    def encode(self, tds_version: int, server: str = "") -> bytes:
        """The tokens: each part with its DONE, of which all but the last say that there is more."""
        written = bytearray()
        parts: list[Rows | Count | QueryError] = self.parts or [Count("", None)]
        for place, part in enumerate(parts):
            more = DoneStatus.FINAL if place == len(parts) - 1 else DoneStatus.MORE
            match part:
                case Rows():
                    written += col_metadata(part.columns, tds_version)
                    encoders = [each.type.encode for each in part.columns]
                    for row in part.rows:
                        written += ROW
                        for encode, value in zip(encoders, row, strict=True):
                            written += encode(value)
                    written += _done(more | DoneStatus.COUNT, part.command, len(part.rows), tds_version)
                case Count(command, None):
                    written += _done(more, command, 0, tds_version)
                case Count(command, int(count)):
                    written += _done(more | DoneStatus.COUNT, command, count, tds_version)
                case QueryError():
                    written += error_token(
                        part.number,
                        str(part),
                        severity=part.severity,
                        state=part.state,
                        server=server,
                        tds_version=tds_version,
                    )
                    written += _done(more | DoneStatus.ERROR, "", 0, tds_version)
        return bytes(written)


def _done(status: DoneStatus, command: str, count: int, tds_version: int) -> bytes:
    number = COMMANDS.get(command, 0)
    return bytes(done(status=status, current_command=number, row_count=count, tds_version=tds_version))
