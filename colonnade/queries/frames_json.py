"""JSON columns of Polars frames as structs: ``pl.col("attributes").json.struct({"user": pl.String})``.

Frames keep JSON as text, whose type never changes. This takes it apart, one level at a time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, Final

import polars
from polars.datatypes import DataType, DataTypeClass

from colonnade.errors import InvalidInput
from colonnade.schemas.payloads import escape_text, from_json, to_json

Dtype = DataType | DataTypeClass
Fields = Mapping[str, Dtype]
"""The fields of a struct, with their dtypes."""

_INT64: Final = 2**63
_LARGEST: Final = sys.float_info.max


def struct_of(texts: polars.Series, fields: Fields | None = None) -> polars.Series:
    """JSON texts as a struct of some fields of their objects; null where there is none.

    A field is null where it is missing, or of another type than the one that is given for it; as ``String``, all that
    is no text is JSON text. Without ``fields`` there are all that occur, each as ``Boolean``, ``Int64``, ``Float64`` or
    ``String`` by what is in it, and as JSON text where that is nested or mixed.
    """
    if texts.dtype not in (polars.String, polars.Null):
        raise InvalidInput(f"{texts.name} is {texts.dtype}, and not JSON text")
    found = [None if text is None else from_json(text) for text in texts.to_list()]
    objects = [each if isinstance(each, dict) else None for each in found]
    wanted = _inferred(objects) if fields is None else fields
    columns = [_column(name, dtype, objects) for name, dtype in wanted.items()]
    if not columns:
        return polars.Series(texts.name, [None if each is None else {} for each in objects], polars.Struct([]))
    is_object = polars.Series([each is not None for each in objects], dtype=polars.Boolean)
    made = polars.DataFrame({column.name: column for column in columns}).to_struct(texts.name)
    return polars.select(polars.when(is_object).then(made).alias(texts.name)).to_series()


def _column(name: str, dtype: Dtype, objects: Sequence[dict[str, Any] | None]) -> polars.Series:
    fit = _fitting(dtype)
    values = [None if each is None else fit(each.get(name)) for each in objects]
    return polars.Series(escape_text(name), values, dtype, strict=False)


def _fitting(dtype: Dtype) -> Callable[[Any], Any]:
    """What makes a JSON value one of a dtype; ``None`` of those of another type."""
    if dtype == polars.String:
        return lambda value: escape_text(value) if isinstance(value, str) else None if value is None else to_json(value)
    if dtype == polars.Boolean:
        return lambda value: value if isinstance(value, bool) else None
    if dtype.is_integer():
        return lambda value: int(value) if _is_number(value) and value % 1 == 0 else None
    if dtype.is_float():
        return lambda value: float(value) if _is_number(value) and not _LARGEST < abs(value) < inf else None
    if isinstance(dtype, polars.List):
        inner = _fitting(dtype.inner)
        return lambda value: [inner(each) for each in value] if isinstance(value, list) else None
    if isinstance(dtype, polars.Struct):
        parts = {each.name: _fitting(each.dtype) for each in dtype.fields}
        return lambda value: (
            {name: fit(value.get(name)) for name, fit in parts.items()} if isinstance(value, dict) else None
        )
    raise InvalidInput(
        f"JSON has no {dtype}: take it as String, and make of that what you need, as by .str.to_datetime()"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _inferred(objects: Sequence[dict[str, Any] | None]) -> Fields:
    types: dict[str, set[type]] = {}
    for each in objects:
        for name, value in (each or {}).items():
            known = types.setdefault(name, set())
            if value is not None:
                is_huge = type(value) is int and not -_INT64 <= value < _INT64
                known.add(float if is_huge else type(value))
    return {name: _dtype(known) for name, known in types.items()}


def _dtype(types: set[type]) -> DataTypeClass:
    if types == {bool}:
        return polars.Boolean
    if types == {int}:
        return polars.Int64
    return polars.Float64 if types and types <= {int, float} else polars.String


@polars.api.register_expr_namespace("json")
class JsonExpression:
    """``pl.col("attributes").json``"""

    def __init__(self, expression: polars.Expr) -> None:
        self._expression = expression

    def struct(self, fields: Fields) -> polars.Expr:
        """JSON text as a struct of these fields; see ``struct_of``."""
        return self._expression.map_batches(
            lambda texts: struct_of(texts, fields), return_dtype=polars.Struct(fields), is_elementwise=True
        )


@polars.api.register_series_namespace("json")
class JsonSeries:
    """``frame["attributes"].json``"""

    def __init__(self, texts: polars.Series) -> None:
        self._texts = texts

    def struct(self, fields: Fields | None = None) -> polars.Series:
        """JSON text as a struct of these fields, or of all that occur; see ``struct_of``."""
        return struct_of(self._texts, fields)
