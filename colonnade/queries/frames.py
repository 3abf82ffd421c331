"""Arrow as frames of Polars and pandas: the same dtypes whatever the store, and however many rows there are.

| kind | Arrow | Polars | pandas |
|---|---|---|---|
| text, uuid, json | `string` | `String` | `string[pyarrow]` |
| integer | `int32` | `Int32` | `int32[pyarrow]` |
| bigint | `int64` | `Int64` | `int64[pyarrow]` |
| float | `double` | `Float64` | `double[pyarrow]` |
| boolean | `bool` | `Boolean` | `bool[pyarrow]` |
| timestamp | `timestamp[us, tz=UTC]` | `Datetime('us', 'UTC')` | `timestamp[us, tz=UTC][pyarrow]` |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import pyarrow as pa

from colonnade.errors import MissingExtra

if TYPE_CHECKING:
    from concurrent.futures import Future

    import pandas
    import polars


def polars_frame(data: pa.Table | pa.RecordBatch) -> polars.DataFrame:
    """Arrow rows as a Polars frame; numbers are not copied."""
    import polars

    import colonnade.queries.frames_json  # noqa: F401  # frames have .json from here on

    # Text that is null throughout, as much of a span is, would be copied like any other: 16 bytes for each null.
    empty = [name for name, column in zip(data.schema.names, data.columns, strict=True) if _is_empty_text(column)]
    if len(empty) == data.num_columns:
        empty = empty[1:]
    there = [name for name in data.schema.names if name not in empty]
    frame = cast("polars.DataFrame", polars.from_arrow(data.select(there), rechunk=False))
    nulls = [polars.lit(None, polars.String).alias(name) for name in empty]
    return frame.with_columns(nulls).select(data.schema.names) if nulls else frame


def _is_empty_text(column: pa.Array | pa.ChunkedArray) -> bool:
    return bool(column.type == pa.string() and len(column) and column.null_count == len(column))


def polars_schema(schema: pa.Schema) -> polars.Schema:
    """The names and dtypes that a frame of such rows has."""
    return polars_frame(schema.empty_table()).schema


@contextmanager
def framing(frames: list[polars.DataFrame], schema: pa.Schema) -> Iterator[Callable[[pa.RecordBatch], object]]:
    """What takes batches and makes frames of them, in a thread, while the store reads the next ones.

    When the block ends, all of them are in ``frames``, which has one at least.
    """
    from concurrent.futures import ThreadPoolExecutor  # not before it is used: opening a store is to be light

    frames.append(polars_frame(schema.empty_table()))
    made: list[Future[polars.DataFrame]] = []
    with ThreadPoolExecutor(1, "colonnade-frames") as thread:
        yield lambda batch: made.append(thread.submit(polars_frame, batch))
        frames += [each.result() for each in made]


def pandas_frame(data: pa.Table) -> pandas.DataFrame:
    """Arrow rows as a pandas frame of Arrow dtypes, where whole numbers stay whole beside nulls."""
    try:
        import pandas
    except ImportError:
        raise MissingExtra("to_pandas()", "pandas") from None
    return cast("pandas.DataFrame", data.to_pandas(types_mapper=pandas.ArrowDtype))
