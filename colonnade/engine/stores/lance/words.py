"""The index of words: which rows may hold some words. Some too many perhaps, but never one too few.

Lance cuts texts into words nearly as ``schemas.words`` does. What it cuts otherwise is found all the same:

- In the text of JSON a line break is ``\\n``, which glues an ``n`` to the word after it: such spellings are asked for.
- Vowel signs, letters in circles, code points that were no letters yet when this Python was made, and what payloads
  have escaped: rows that hold any are *odd*. Upkeep looks for them and marks each fragment that the index knows with
  the places of its odd rows, which are then always looked at. A fragment of many is looked through as without index.

Marks are in the configuration of the dataset, under the version of Unicode that they are about. Fragments that the
index does not know, or that have no mark, are looked through.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, reduce
from typing import Any, Final

import lance
import pyarrow as pa
import pyarrow.compute as pc
from lance.query import MatchQuery

from colonnade.engine import fold, searching
from colonnade.engine.normalize import named_columns
from colonnade.engine.plan import Search
from colonnade.engine.stores.lance.commits import ADDRESS, by_fragment
from colonnade.engine.stores.lance.filters import expression
from colonnade.queries.times import time_of
from colonnade.schemas.table import Table
from colonnade.schemas.words import SEARCHED

OPTIONS: Final[Mapping[str, Any]] = {
    "base_tokenizer": "simple",
    "lower_case": True,
    "max_token_length": None,
    "stem": False,
    "remove_stop_words": False,
    "ascii_folding": False,
    "with_position": False,
}
"""How Lance is to cut texts: as we do, as far as it can."""
MANY: Final = 4 * searching.DEPTH
"""Where more rows may hold the words, looking through the newest ones is sooner done."""
_MANY_OF_ONE: Final = 8
"""Of words that must all be there, each may be in so many times ``MANY`` rows."""
UNKNOWN: Final = 131_072
"""So many rows are looked through besides asking the index; if it knows more rows not, it is not asked."""
_ODD: Final = 256
"""Of a fragment with more odd rows no places are kept."""
_MARK: Final = f"colonnade.words.{unicodedata.unidata_version}."
_ALL: Final = "*"
_GLUED: Final = ("", *"nrtbf", *(f"u00{control:02x}" for control in range(32)))
"""What may stand directly before a word in the text of JSON, of the escape before it."""
_ESCAPE: Final = r"\\u([1-9a-fA-F][0-9a-fA-F]{3}|0[1-9a-fA-F][0-9a-fA-F]{2}|00[2-9a-fA-F][0-9a-fA-F])"
"""Escapes in JSON that are none of those, as other programs write them."""


def indexed(table: Table) -> tuple[str, ...]:
    """The columns whose words are indexed."""
    return SEARCHED.get(table.name, ())


def index_name(column: str) -> str:
    """What the index of a column's words is called, next to other indexes of the column."""
    return f"{column}_words"


def search(dataset: lance.LanceDataset, plan: Search) -> pa.Table | None:
    """The best rows, with what they are ranked by; ``None`` where the index would not help."""
    addresses = _candidates(dataset, plan)
    if addresses is None:
        return None
    when, key = time_of(plan.table), plan.table.key
    columns = dict.fromkeys((when, *key, *named_columns(plan.where)))
    rows = dataset._take_rows(addresses.to_pylist(), columns=[*columns]).append_column(ADDRESS, addresses)
    order = [(when, "descending"), *((name, "ascending") for name in key)]
    newest = rows.filter(fold.mask(plan.where, rows)).sort_by(order).column(ADDRESS).to_pylist()

    def pages() -> Iterator[pa.Table]:
        for at in range(0, len(newest), searching.PAGE):
            found = dataset._take_rows(newest[at : at + searching.PAGE], columns=[*searching.needed(plan)])
            yield found.cast(pa.schema([plan.table.schema.field(name) for name in found.column_names]))

    return searching.chosen(plan, pages())


def _candidates(dataset: lance.LanceDataset, plan: Search) -> pa.Array | None:
    """The addresses of all rows that may hold the words; ``None`` where they would be too many."""
    fragments = {each.fragment_id: each for each in dataset.get_fragments()}
    marks = _marks(dataset)
    known = {number for number in _known(dataset, plan.columns) if marks.get(number, _ALL) != _ALL} & fragments.keys()
    unknown = [each for number, each in fragments.items() if number not in known]
    if not known or sum(each.count_rows() for each in unknown) > UNKNOWN:
        return None
    found = _indexed(dataset, plan)
    if found is None:
        return None
    places = pc.shift_right(found, pa.scalar(32, found.type))
    parts = [found.filter(pc.is_in(places, value_set=pa.array(known, found.type)))]
    odd = [number << 32 | int(place) for number in known for place in marks[number].split(",") if place]
    if odd:
        parts.append(_alive(dataset, {address >> 32 for address in odd}, pa.array(odd, found.type)))
    if unknown:
        where = expression(plan.where & searching.holding(plan), plan.table)
        through = dataset.scanner(columns=[plan.table.key[0]], filter=where, fragments=unknown, with_row_address=True)
        parts += through.to_table().column(ADDRESS).chunks
    return pa.concat_arrays(parts).unique()


def _indexed(dataset: lance.LanceDataset, plan: Search) -> pa.Array | None:
    """The addresses of rows that hold the words, as the index has them; ``None`` where they would be too many.

    What must hold all words is among what holds one of them. Words that are in more rows than are worth a look are left
    out, and only where all are so, they are asked for once more, and what holds all of them is counted.
    """
    for most in (MANY,) if plan.some or len(plan.words) == 1 else (MANY, _MANY_OF_ONE * MANY):
        each = [_holding_one(dataset, plan, word, most) for word in plan.words]
        few = [found for found in each if found is not None]
        if plan.some:
            found = pa.concat_arrays(few).unique() if len(few) == len(each) else None
        else:
            found = reduce(lambda left, right: left.filter(pc.is_in(left, value_set=right)), few) if few else None
        if found is not None:
            return found if len(found) <= MANY else None
    return None


def _holding_one(dataset: lance.LanceDataset, plan: Search, word: str, most: int) -> pa.Array | None:
    """The addresses of rows that hold a word; ``None`` where there are more than ``most`` in one column."""
    parts = []
    for name in plan.columns:
        query = MatchQuery(_spellings(plan.table, name, word), name)
        scanner = dataset.scanner(
            columns=["_score"], full_text_query=query, fast_search=True, with_row_address=True, limit=most + 1
        )
        found = scanner.to_table().column(ADDRESS)
        if len(found) > most:
            return None
        parts += found.chunks
    return pa.chunked_array(parts, pa.uint64()).unique()


def _alive(dataset: lance.LanceDataset, numbers: set[int], addresses: pa.Array) -> pa.Array:
    """Those of some addresses at which there still are rows."""
    fragments = [each for each in dataset.get_fragments() if each.fragment_id in numbers]
    if all(not each.num_deletions for each in fragments):
        return addresses
    there = dataset.scanner(columns=[], fragments=fragments, with_row_address=True).to_table().column(ADDRESS)
    return addresses.filter(pc.is_in(addresses, value_set=there.combine_chunks()))


def _known(dataset: lance.LanceDataset, columns: Sequence[str]) -> set[int]:
    """The numbers of the fragments whose words in some columns are indexed."""
    found: dict[str, set[int]] = {}
    for index in dataset.describe_indices():
        if index.index_type == "Inverted":
            (column,) = index.field_names
            if index.name != index_name(column) and column in columns:
                return set()  # somebody else's, which cuts words in its own way, and might be asked instead
            found[column] = {number for part in index.segments for number in part.fragment_ids}
    return reduce(set.__and__, (found.get(column, set()) for column in columns))


def _spellings(table: Table, column: str, word: str) -> str:
    if table.columns[column].kind.name != "json":
        return word
    return " ".join(glued + word for glued in _GLUED)


def mark(dataset: lance.LanceDataset, table: Table) -> None:
    """Look for odd rows in the fragments that the index knows and that have no mark; forget those that are gone."""
    fragments = {each.fragment_id: each for each in dataset.get_fragments()}
    marks = _marks(dataset)
    new = [number for number in _known(dataset, indexed(table)) if number in fragments and number not in marks]
    if new:
        found = dataset.scanner(
            columns=[table.key[0]],
            filter=" OR ".join(f"regexp_like(`{name}`, '{_odd(table, name)}', 's')" for name in indexed(table)),
            fragments=[fragments[number] for number in new],
            with_row_address=True,
        ).to_table()
        odd = dict(by_fragment(found.column(ADDRESS)))
        dataset.update_config({f"{_MARK}{number}": _said(odd.get(number, ())) for number in new})
    if gone := [f"{_MARK}{number}" for number in marks if number not in fragments]:
        dataset.delete_config_keys(gone)


def _said(places: Sequence[int]) -> str:
    return _ALL if len(places) > _ODD else ",".join(map(str, places))


def _marks(dataset: lance.LanceDataset) -> dict[int, str]:
    """By fragment: where its odd rows are."""
    return {int(name.removeprefix(_MARK)): said for name, said in dataset.config().items() if name.startswith(_MARK)}


def _odd(table: Table, column: str) -> str:
    """A regular expression for texts of which Lance may cut other words."""
    letters = rf"[[\p{{Alphabetic}}&&[\p{{M}}\p{{S}}]]{_unassigned()}]"
    return f"{_ESCAPE}|{letters}" if table.columns[column].kind.name == "json" else letters


@cache
def _unassigned() -> str:
    """The code points that have no meaning yet in this Python, as ranges of a class; the one that escapes is among."""
    return "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in _runs(_without_meaning()))


def _without_meaning() -> Iterable[int]:
    return (point for point in range(sys.maxunicode + 1) if unicodedata.category(chr(point)) == "Cn")


def _runs(points: Iterable[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for point in points:
        if first is None or last is None or point != last + 1:
            if first is not None and last is not None:
                yield first, last
            first = point
        last = point
    if first is not None and last is not None:
        yield first, last
