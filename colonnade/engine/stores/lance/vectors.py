"""Neighbours: of few vectors compared one by one; of many, proposed by an index, and those it does not know compared.

An index of Lance is about vectors of one size, and ours have any. So there is a *companion* for each size of which
there are many: a dataset with the keys of rows and their vectors, which upkeep makes and fills. It only proposes. What
a row is, whether it is there still and how near it is, is read from the table itself. What a companion has not heard of
yet is known by files, which never change: it lists those whose vectors it has, and rows in others are compared.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

import lance
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.engine import neighbours
from colonnade.engine.abilities import by_key
from colonnade.engine.plan import Nearest, OneOf
from colonnade.engine.stores import duckdb_summary
from colonnade.engine.stores.lance.filters import expression
from colonnade.engine.stores.lance.spelling import Spelling
from colonnade.engine.stores.lance.tables import Datasets, companions
from colonnade.schemas.table import Table

FEW: Final = 100_000
"""Up to so many vectors are compared one by one."""
MOST: Final = 10_000
"""More candidates than so many are not asked for: comparing all is as fast."""
_PARTITION: Final = 4_096
"""Vectors in a partition of the index, about."""
_PROBES: Final = 48
"""So many partitions are looked at, or a third of them, whichever is more."""
_REFINED: Final = 4
"""Of so many times the candidates the whole vectors are compared, since those in the index are rounded to bytes."""
_RIGHT_ANGLE: Final = 0.999
"""The distance of what is not near at all, a little rounded."""
_STALE: Final = 0.1
"""The part of a companion's rows that may be out of date before they are deleted."""
_GROWN: Final = 4
"""By what a companion grows until its partitions are made anew."""
_VECTOR: Final = "vector"
_KIND: Final = "IVF_SQ"
_INDEX: Final = "vector_idx"
_FILE: Final = "colonnade.file."
_TRAINED: Final = "colonnade.trained"
_LOOKED: Final = "colonnade.vectors"
_BATCH: Final = 2_048


def column_of(table: Table) -> str | None:
    """The column of vectors that companions are made for: where the key is one column."""
    if len(table.key) > 1:
        return None
    return next((each.name for each in table.columns.values() if each.kind.name == "vector"), None)


def nearest(datasets: Datasets, dataset: lance.LanceDataset, plan: Nearest) -> pa.Table:
    """The nearest rows, with what they are compared by."""
    where = expression(plan.where, plan.table)
    every = dataset.count_rows()
    passing = every if where is None else dataset.scanner(filter=where).count_rows()
    if passing > FEW and plan.column == column_of(plan.table):
        companion = datasets.companion(plan.table, len(plan.vector))
        if companion is not None and (found := _proposed(dataset, companion, plan, every / passing)) is not None:
            return found
    return _compared(dataset, plan)


def _compared(dataset: lance.LanceDataset, plan: Nearest, fragments: Sequence[Any] | None = None) -> pa.Table:
    """The nearest rows, of all or of some fragments, each compared."""
    where = expression(plan.where, plan.table)

    def read(columns: tuple[str, ...]) -> pa.RecordBatchReader:
        return dataset.scanner(columns=list(columns), filter=where, fragments=fragments).to_reader()

    return _rows(dataset, plan, duckdb_summary.nearest(plan, read))


def _rows(dataset: lance.LanceDataset, plan: Nearest, keys: pa.Table) -> pa.Table:
    columns = neighbours.needed(plan)
    wanted = plan.table.schema_of(columns)
    if not keys.num_rows:
        return wanted.empty_table()
    where = expression(plan.where & by_key(plan.table, keys), plan.table)
    return dataset.scanner(columns=list(columns), filter=where).to_table().cast(wanted)


def _proposed(
    dataset: lance.LanceDataset, companion: lance.LanceDataset, plan: Nearest, spread: float
) -> pa.Table | None:
    """The nearest rows, as an index has them; ``None`` where it is no help. One of ``spread`` passes the filter."""
    files = _files(companion)
    unknown = [each for each in dataset.get_fragments() if _file(each) not in files]
    if sum(each.count_rows() for each in unknown) > FEW:
        return None
    probes = max(_PROBES, companion.count_rows() // _PARTITION // 3)
    length = math.hypot(*plan.vector)
    wanted = pa.array([number / length for number in plan.vector], pa.float32())
    near = {"column": _VECTOR, "q": wanted, "nprobes": probes, "refine_factor": _REFINED}
    ask = int(2 * spread * plan.k)
    while ask <= MOST:
        proposed = companion.scanner(columns=[plan.table.key[0], "_distance"], nearest={**near, "k": ask}).to_table()
        # At a right angle and beyond are those vectors of zeros too that it does not know of.
        if proposed.num_rows < ask or proposed.column("_distance")[-1].as_py() >= _RIGHT_ANGLE:
            return None
        found = _rows(dataset, plan, proposed)
        fits = pc.equal(pc.list_value_length(found.column(plan.column)), len(plan.vector))
        if (pc.sum(fits).as_py() or 0) >= plan.k:
            return pa.concat_tables([found, *_others(dataset, plan, unknown, found)])
        ask *= 4
    return None


def _others(
    dataset: lance.LanceDataset, plan: Nearest, fragments: Sequence[Any], known: pa.Table
) -> Iterator[pa.Table]:
    """The nearest rows of some fragments, without those that are known already."""
    if fragments:
        key, found = plan.table.key[0], _compared(dataset, plan, fragments)
        yield found.filter(pc.invert(pc.is_in(found.column(key), value_set=known.column(key))))


def follow(datasets: Datasets, table: Table, *, least: int, kept: timedelta) -> int:
    """Have companions take over what a table has and they have not, at least so many rows; how many."""
    if column_of(table) is None:
        return 0
    dataset, taken = datasets.changing(table), 0
    for size in {*companions(dataset), *_sizes(dataset, table, least)}:
        companion = datasets.companion(table, size)
        unheard = _unheard(companion, dataset)
        if companion is None or unheard >= least or companion.count_rows() > (1 + _STALE) * dataset.count_rows():
            taken += _Companion(datasets, table, size).follow(companion, dataset)
            if (companion := datasets.companion(table, size)) is not None:
                companion.cleanup_old_versions(older_than=kept)
    return taken


class _Companion:
    """The companion of a table for vectors of one size, to be brought up to date."""

    def __init__(self, datasets: Datasets, table: Table, size: int) -> None:
        self._datasets = datasets
        self._table = table
        self._key = table.key[0]
        self._size = size

    def _made(self) -> lance.LanceDataset:
        fields = [self._table.schema.field(self._key), pa.field(_VECTOR, pa.list_(pa.float32(), self._size))]
        return self._datasets.make_companion(self._table, pa.schema(fields), self._size)

    def _now(self) -> lance.LanceDataset:
        found = self._datasets.companion(self._table, self._size)
        assert found is not None
        return found.checkout_version(found.version)  # a handle of its own

    def follow(self, companion: lance.LanceDataset | None, dataset: lance.LanceDataset) -> int:
        """Take over rows from files that it has not heard of, and forget rows that are gone; how many are new."""
        companion = self._made() if companion is None else self._without_stale(self._now(), dataset)
        files = _files(companion)
        fragments = {_file(each): each for each in dataset.get_fragments()}
        new = {name: each for name, each in fragments.items() if name not in files}
        taken = 0
        if new:
            batches = self._batches(companion.schema, dataset, [*new.values()])
            merge = companion.merge_insert(self._key).when_matched_update_all().when_not_matched_insert_all()
            merged = merge.execute(pa.RecordBatchReader.from_batches(companion.schema, batches))
            taken = int(merged["num_inserted_rows"])
            self._now().update_config({f"{_FILE}{name}": "" for name in new})
        if gone := [f"{_FILE}{name}" for name in files if name not in fragments]:
            self._now().delete_config_keys(gone)
        self._index(self._now())
        return taken

    def _batches(self, schema: pa.Schema, dataset: lance.LanceDataset, some: Sequence[Any]) -> Iterator[pa.RecordBatch]:
        column = str(column_of(self._table))
        for batch in dataset.scanner(columns=[self._key, column], fragments=some, batch_size=_BATCH).to_batches():
            fits = batch.filter(pc.equal(pc.list_value_length(batch.column(column)), self._size))
            numbers = fits.column(column).flatten().to_numpy().reshape(-1, self._size).astype("float64")
            lengths = (numbers * numbers).sum(axis=1) ** 0.5
            # Vectors of zeros have no direction, so Lance cannot place them. All others are made as long as one, since
            # very short and very long ones are zeros and infinities to it.
            directed = lengths > 0
            flat = pa.array((numbers[directed] / lengths[directed][:, None]).astype("float32").ravel())
            vectors = pa.FixedSizeListArray.from_arrays(flat, self._size)
            yield pa.record_batch([fits.column(self._key).filter(pa.array(directed)), vectors], schema)

    def _without_stale(self, companion: lance.LanceDataset, dataset: lance.LanceDataset) -> lance.LanceDataset:
        """Without rows that the table has no more; made anew where they are many."""
        kept = companion.to_table(columns=[self._key]).column(self._key)
        there = dataset.to_table(columns=[self._key]).column(self._key).combine_chunks()
        stale = kept.filter(pc.invert(pc.is_in(kept, value_set=there)))
        if len(stale) > _STALE * len(kept):
            return self._made()
        for at in range(0, len(stale), _BATCH):
            some = OneOf(self._key, tuple(stale.slice(at, _BATCH).to_pylist()))
            companion.delete(Spelling().condition(some))
        return companion

    def _index(self, companion: lance.LanceDataset) -> None:
        companion.optimize.compact_files()
        rows, trained = companion.count_rows(), int(companion.config().get(_TRAINED, "0"))
        if not rows:
            return
        if rows > _GROWN * trained:
            many = max(1, rows // _PARTITION)
            companion.create_index(_VECTOR, _KIND, _INDEX, metric="cosine", num_partitions=many, replace=True)
            self._now().update_config({_TRAINED: str(rows)})
        else:
            companion.optimize.optimize_indices(index_names=[_INDEX], num_indices_to_merge=1)


def _sizes(dataset: lance.LanceDataset, table: Table, least: int) -> Iterator[int]:
    """The sizes of which there are many vectors, where so many rows have come since the last look for them."""
    rows, looked = dataset.count_rows(), int(dataset.config().get(_LOOKED, "0"))
    if rows <= FEW or rows - looked < least:
        return
    found: Counter[int] = Counter()
    for batch in dataset.scanner(columns=[str(column_of(table))]).to_batches():
        for each in pc.value_counts(pc.list_value_length(batch.column(0))).to_pylist():
            found[each["values"] or 0] += each["counts"]
    dataset.update_config({_LOOKED: str(rows)})
    yield from (size for size, count in found.items() if size and count > FEW)


def _unheard(companion: lance.LanceDataset | None, dataset: lance.LanceDataset) -> int:
    """How many rows of a table are in files that a companion does not list."""
    files = _files(companion) if companion is not None else set()
    return sum(each.count_rows() for each in dataset.get_fragments() if _file(each) not in files)


def _files(companion: lance.LanceDataset) -> set[str]:
    return {name.removeprefix(_FILE) for name in companion.config() if name.startswith(_FILE)}


def _file(fragment: Any) -> str:
    """What a fragment's vectors are in: names that nothing else has, nor ever had."""
    return "+".join(str(each.path) for each in fragment.metadata.files)
