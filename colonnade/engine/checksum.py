"""What rows say, as numbers that do not depend on who keeps them: for telling whether two stores hold the same.

A row's digest is taken of its values in one spelling: JSON with sorted keys and no blanks, times as microseconds, the
shortest text of a float, and zero without a sign, which not every store keeps. The checksum of many rows is the sum of
their digests, so their order does not matter, and a row that is there twice does.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.schemas.kinds import Column
from colonnade.schemas.payloads import may_hold_huge_numbers, parse_json
from colonnade.schemas.table import Table

BYTES: Final = 16
"""Length of a digest."""
PIECE: Final = 32 * 2**20
"""Bytes of Arrow data that are looked at, or handed on, at once; a row that is longer comes by itself."""
_ROWS: Final = 20_000
_MODULUS: Final = 2 ** (8 * BYTES)
_TEXT: Final = pa.large_binary()
_BETWEEN: Final = pa.scalar(b"\0", _TEXT)
_NULL: Final = "\0null"  # stored text holds no NUL, so neither this nor what stands between can be said by a value


def pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same rows in pieces of a size that is good to work with: small batches joined, large ones cut."""
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        step = max(1, min(_ROWS, batch.num_rows * PIECE // max(batch.nbytes, 1)))
        for start in range(0, batch.num_rows, step):
            part = batch.slice(start, step)
            if waiting and (rows + part.num_rows > _ROWS or size + part.nbytes > PIECE):
                yield pa.Table.from_batches(waiting)
                waiting, rows, size = [], 0, 0
            waiting.append(part)
            rows, size = rows + part.num_rows, size + part.nbytes
    if waiting:
        yield pa.Table.from_batches(waiting)


def digests(table: Table, data: pa.Table) -> list[bytes]:
    """The digest of each row; ``data`` has all columns of the table, and is no larger than a piece."""
    texts = [_spelled(column, data.column(name)).cast(_TEXT) for name, column in table.columns.items()]
    rows = pc.binary_join_element_wise(*texts, _BETWEEN, null_handling="replace", null_replacement=_NULL)
    return [blake2b(row, digest_size=BYTES).digest() for row in rows.to_pylist()]


def checksum(found: Iterable[bytes], start: int = 0) -> int:
    """The sum of digests, going on from that of others."""
    return (start + sum(int.from_bytes(each, "big") for each in found)) % _MODULUS


def _spelled(column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values of a column as text."""
    if values.null_count == len(values):
        return pa.chunked_array([pa.nulls(len(values), _TEXT)])
    if column.kind.name not in _SPELLED:
        return values.cast(pa.large_string())
    return _SPELLED[column.kind.name](values)


def _each(spell: Callable[[Any], bytes]) -> Callable[[pa.ChunkedArray], pa.ChunkedArray]:
    def spelled(values: pa.ChunkedArray) -> pa.ChunkedArray:
        made = [None if each is None else spell(each) for each in values.to_pylist()]
        return pa.chunked_array([pa.array(made, _TEXT)])

    return spelled


def canonical(text: bytes) -> bytes:
    """JSON text in the one spelling of its value; what is no JSON stays as it is."""
    try:
        if not may_hold_huge_numbers(text):
            return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS)
    except ValueError:
        pass  # what orjson does not read, the standard library may
    try:
        value: Any = parse_json(text.decode())
    except ValueError:
        return text
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _json(values: pa.ChunkedArray) -> pa.ChunkedArray:
    texts = values.cast(pa.large_binary()).to_pylist()
    huge = may_hold_huge_numbers(b" ".join(filter(None, texts)))  # asked once for all of them: asking takes its time
    spell = canonical if huge else _plain
    try:
        made = [None if text is None else spell(text) for text in texts]
    except ValueError:
        made = [None if text is None else canonical(text) for text in texts]
    return pa.chunked_array([pa.array(made, _TEXT)])


def _plain(text: bytes) -> bytes:
    return orjson.dumps(orjson.loads(text), None, orjson.OPT_SORT_KEYS)


_SPELLED: Final[dict[str, Callable[[pa.ChunkedArray], pa.ChunkedArray]]] = {
    "json": _json,
    "float": lambda values: pc.add(values, 0.0).cast(pa.large_string()),
    "timestamp": lambda values: values.cast(pa.int64()).cast(pa.large_string()),
    "vector": _each(lambda value: array("f", value).tobytes().hex().encode()),
    "binary": _each(lambda value: value.hex().encode()),
}
"""What values of a kind are spelled by; all others are cast."""
