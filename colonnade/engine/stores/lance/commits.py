"""Writing rows: what a change replaces and what it adds is one commit, which counts only if nobody was faster.

Lance lets appends pass one another, and its ``merge_insert`` finds out about concurrent inserts of one key only in some
of its plans, none of which uses an index. So a change reads the rows of its keys at one version, and is committed as an
operation that touches all fragments: Lance refuses it where another of ours, a delete or a compaction came in between,
and refuses theirs after ours. Builds of indexes pass.

Each commit takes along the small fragments at the end, as one counts in binary: however small the writes are, no more
than a dozen small fragments are there at any time, and a row is written anew about as often.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import lance
import pyarrow as pa
import pyarrow.compute as pc
from lance import LanceOperation
from lance.fragment import FragmentMetadata, write_fragments

from colonnade.engine import fold
from colonnade.engine.plan import And, Filter, OneOf, Put
from colonnade.engine.stores.lance.filters import expression
from colonnade.engine.stores.lance.tables import Datasets, key_column
from colonnade.errors import Conflict
from colonnade.schemas.table import Table

ADDRESS: Final = "_rowaddr"
FRAGMENT_ROWS: Final = 131_072
"""Rows of a full fragment: reading a few rows out of larger ones takes longer."""
_SMALL_ROWS: Final = 8_192
_SMALL_BYTES: Final = 1 << 20
"""What has more rows, or more bytes, is no small fragment and is left to compaction."""
_FEW: Final = 64
"""Up to so many rows are looked up by their whole key, so that one that joins a huge trace does not read all of it."""
_IDS: Final = 16
"""Numbers of fragments that each version has for itself."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """Rows of one version of a dataset that a change replaces or deletes, by their addresses."""

    addresses: pa.ChunkedArray


def by_fragment(addresses: pa.ChunkedArray) -> Iterator[tuple[int, list[int]]]:
    """For each fragment in which some rows are: which of its rows they are."""
    numbers = addresses.cast(pa.uint64())
    fragments = pc.shift_right(numbers, pa.scalar(32, pa.uint64()))
    for fragment in fragments.unique().to_pylist():
        here = numbers.filter(pc.equal(fragments, fragment))
        yield fragment, pc.bit_wise_and(here, pa.scalar(2**32 - 1, pa.uint64())).to_pylist()


def put(datasets: Datasets, plan: Put) -> None:
    """Upsert by the rules of ``Put``; ``Conflict`` where its expectation is wrong, Lance's where others were faster."""
    table, data = plan.table, fold.collapse(plan.table, plan.data)
    dataset = datasets.latest(table)
    stored = _stored(dataset, plan, data)
    if plan.expect is not None and not fold.is_unchanged(plan, stored):
        raise Conflict(f"rows of {table.name} changed since they were read")
    if stored.num_rows:
        data = fold.merged(table, stored, data)
        replaced = pc.is_in(fold.key_of(table, stored), value_set=fold.key_of(table, data))
        stored = stored.filter(replaced)
    if data.num_rows:
        commit(datasets, dataset, table, Replaced(stored.column(ADDRESS)), data)


def _stored(dataset: lance.LanceDataset, plan: Put, data: pa.Table) -> pa.Table:
    """The stored rows that may have the keys of the incoming ones: what a merge needs of them, and their addresses."""
    table = plan.table
    needed = {*table.key, *table.once, *filter(None, [table.facts.final])}
    needed |= set(plan.expect.column_names) if plan.expect is not None else set()
    return _with_keys(dataset, table, data, [name for name in table.columns if name in needed])


def _with_keys(dataset: lance.LanceDataset, table: Table, keys: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Rows with the keys of others: some columns, the key among them, and addresses."""
    names = table.key if keys.num_rows <= _FEW else (key_column(table),)
    parts: list[Filter] = [OneOf(name, tuple(keys.column(name).unique().to_pylist())) for name in names]
    where = expression(And(tuple(parts)), table)
    found = dataset.scanner(columns=list(columns), filter=where, with_row_address=True).to_table()
    return found.filter(pc.is_in(fold.key_of(table, found), value_set=fold.key_of(table, keys)))


def delete_keys(datasets: Datasets, table: Table, keys: pa.Table) -> int:
    """Delete the rows with some keys; how many. A filter of a thousand keys of two columns takes Lance many seconds."""
    dataset = datasets.latest(table)
    found = _with_keys(dataset, table, keys, table.key)
    if found.num_rows:
        commit(datasets, dataset, table, Replaced(found.column(ADDRESS)), table.schema.empty_table())
    return int(found.num_rows)


def commit(
    datasets: Datasets, dataset: lance.LanceDataset, table: Table, replaced: Replaced, data: pa.Table
) -> lance.LanceDataset:
    """Take rows away and add others, as one; Lance refuses it where the dataset has been changed meanwhile."""
    gone = dict(by_fragment(replaced.addresses))
    kept: list[FragmentMetadata] = []
    removed: list[int] = []
    fragments = dataset.get_fragments()
    small = {each.fragment_id for each in _small(fragments, data.num_rows)}
    for fragment in fragments:
        number = fragment.fragment_id
        rest = fragment.delete_rows(gone[number]) if number in gone and number not in small else fragment.metadata
        if rest is None or number in small:
            removed.append(number)
        else:
            kept.append(rest)
    if small:
        data = pa.concat_tables([_rows_of(dataset, table, small, replaced), data])
    added = _written(dataset, data, _next_id(dataset, fragments))
    operation: LanceOperation.BaseOperation
    if removed:
        operation = LanceOperation.Update(removed, updated_fragments=kept, new_fragments=added)
    else:  # it also conflicts with what others insert, but may not leave a fragment out
        operation = LanceOperation.Merge([*kept, *added], dataset.lance_schema)
    return lance.LanceDataset.commit(
        dataset, operation, read_version=dataset.version, storage_options=datasets.options or None
    )


def _small(fragments: Sequence[Any], rows: int) -> Iterator[Any]:
    """The last fragments, as long as each has no more rows than what is to be written together with those after it."""
    for fragment in reversed(fragments):
        metadata = fragment.metadata
        mine = metadata.num_rows
        wide = sum(file.file_size_bytes or _SMALL_BYTES for file in metadata.files) >= _SMALL_BYTES
        if mine > rows or mine >= _SMALL_ROWS or wide:
            return
        rows += mine
        yield fragment


def _rows_of(dataset: lance.LanceDataset, table: Table, fragments: set[int], replaced: Replaced) -> pa.Table:
    """The rows of some fragments that stay."""
    found = dataset.scanner(
        fragments=[each for each in dataset.get_fragments() if each.fragment_id in fragments],
        with_row_address=True,
        scan_in_order=True,
    ).to_table()
    stay = pc.invert(pc.is_in(found.column(ADDRESS), value_set=replaced.addresses.combine_chunks()))
    return found.filter(stay).select(list(table.columns)).cast(table.schema)


def _written(dataset: lance.LanceDataset, data: pa.Table, first: int) -> list[FragmentMetadata]:
    if not data.num_rows:
        return []
    # A version has a limited number of fragments for itself.
    rows = max(FRAGMENT_ROWS, -(-data.num_rows // _IDS))
    written = write_fragments(data.select(dataset.schema.names).cast(dataset.schema), dataset, max_rows_per_file=rows)
    for place, fragment in enumerate(written):
        fragment.id = first + place
    return list(written)


def _next_id(dataset: lance.LanceDataset, fragments: Sequence[Any]) -> int:
    """A number for a new fragment that no fragment has ever had, for indexes say by number what they know of.

    The highest one may have been deleted, index and all; so each version has numbers of its own.
    """
    known = [each.fragment_id for each in fragments]
    for index in dataset.describe_indices():
        for segment in index.segments:
            known += segment.fragment_ids
    return max([_IDS * int(dataset.version), *(int(each) + 1 for each in known)])
