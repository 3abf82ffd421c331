r"""Attributes of spans as typed maps, for those who ask the server with tools of their own.

The server derives them from the JSON text, which stays what colonnade reads and writes: a span's attributes that are
texts, and those that are numbers (booleans among them, as 1 and 0), by their names. Left out are null, what is nested,
and texts of more than ``LONGEST`` bytes, which are payloads. Of what is no JSON object both maps are empty.

Texts and names are as they are stored, with the escapes of ``schemas.payloads``; so what was NaN is a text here. Whole
numbers beyond 64 bits, which no float holds, are texts too: that is what the server takes them for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from colonnade.schemas.table import Table

LONGEST: Final = 1024
"""Bytes of a text in JSON that is still kept, without its quotation marks."""

_PAIRS: Final = "JSONExtractKeysAndValuesRaw(ifNull(`attributes`, ''))"
"""Names, and values as JSON. Both maps say it alike, so the server does it once."""
_TEXTS: Final = (
    "arrayMap(each -> (each.1, JSONExtractString(each.2)), "
    f"arrayFilter(each -> startsWith(each.2, '\"') AND length(each.2) <= {LONGEST + 2}, {_PAIRS}))"
)
_NUMBERS: Final = (
    "arrayMap(each -> (each.1, multiIf(each.2 = 'true', 1, each.2 = 'false', 0, toFloat64OrZero(each.2))), "
    f"arrayFilter(each -> match(each.2, '^[-0-9tf]'), {_PAIRS}))"
)
_SPANS: Final = {
    "attributes_text": ("Map(LowCardinality(String), String)", _TEXTS),
    "attributes_number": ("Map(LowCardinality(String), Float64)", _NUMBERS),
}


def derived(table: Table, *, whole: bool = False) -> Mapping[str, str]:
    """What is said of a table's maps when they are made, by name; of the ``whole``, which reads them from its parts.

    The whole has them by another, empty, expression: it sends no maps to its parts, so to make them would be in vain.
    """
    columns = _SPANS if table.name == "spans" else {}
    return {
        name: f"`{name}` {kind} MATERIALIZED CAST({'[]' if whole else text}, '{kind}') CODEC(ZSTD(1))"
        for name, (kind, text) in columns.items()
    }
