"""The datasets of a place: how a table is laid out, made, migrated, and seen as of its latest version."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal

import lance
import pyarrow as pa
from lance.commit import CommitConflictError

from colonnade.engine.forking import survives_forks
from colonnade.errors import ColonnadeError, Conflict, NotAStore, SchemaTooNew, StoreError, StoreReadOnly
from colonnade.schemas import VERSION
from colonnade.schemas.table import Table

_VERSION: Final = b"colonnade.version"
_KEY: Final = b"lance-schema:unenforced-primary-key"
_PLACE: Final = b"lance-schema:unenforced-primary-key:position"
_COMPRESSION: Final = b"lance-encoding:compression"
_COMPANION: Final = "colonnade.companion."
_LOOKUPS: Final = {"workflows": "run_id"}
_WHERE: Final = re.compile(r",? /\S+\.rs:\d+:\d+")
"""Where in Lance an error came from."""
_INDEX_CACHE: Final = 512 << 20
_METADATA_CACHE: Final = 128 << 20


def layout(table: Table) -> pa.Schema:
    """The schema of a table's dataset: ours, with its key declared for other writers, and wide columns compressed."""
    fields = []
    for declared, column in zip(table.schema, table.columns.values(), strict=True):
        metadata = dict(declared.metadata)
        if column.name in table.key:
            metadata |= {_KEY: b"true", _PLACE: str(table.key.index(column.name) + 1).encode()}
        if column.payload:
            metadata[_COMPRESSION] = b"zstd"
        fields.append(declared.with_metadata(metadata))
    return pa.schema(fields, {**table.schema.metadata, _VERSION: str(VERSION).encode()})


def indexes(table: Table) -> Mapping[str, Literal["BTREE", "BITMAP"]]:
    """The columns to be indexed, with the kind of index: bitmaps for what few words say, B-trees for all else."""
    wanted: dict[str, Literal["BTREE", "BITMAP"]] = {}
    for index in table.facts.indexes:
        lead = index.columns[0]
        wanted |= {lead: "BTREE" if table.columns[lead].identifier else "BITMAP", index.newest: "BTREE"}
    wanted[key_column(table)] = "BTREE"
    return wanted


def key_column(table: Table) -> str:
    """The column of the key by which rows are looked up: of a run its own id and not the workflow that many share."""
    return _LOOKUPS.get(table.name, table.key[0])


class Datasets:
    """The datasets below a root, each as of its latest version. A handle that was given stays at its version."""

    def __init__(self, root: str, options: Mapping[str, str], label: str) -> None:
        self.root = root
        self.label = label
        self.options = dict(options)
        self._begin()
        survives_forks(self)

    def _begin(self) -> None:
        self.session = lance.Session(  # type: ignore[attr-defined]  # it is there
            index_cache_size_bytes=_INDEX_CACHE, metadata_cache_size_bytes=_METADATA_CACHE
        )
        self._known: dict[str, lance.LanceDataset] = {}

    def uri(self, table: Table) -> str:
        """Where the dataset of a table is: where LanceDB would look for it."""
        return self._uri(table.name)

    def _uri(self, name: str) -> str:
        return f"{self.root}/{name}.lance"

    def latest(self, table: Table) -> lance.LanceDataset:
        """The dataset as it is now."""
        return self._latest(table.name)

    def _latest(self, name: str) -> lance.LanceDataset:
        known = self._known.get(name)
        if known is None:
            known = lance.dataset(self._uri(name), storage_options=self.options, session=self.session)
        elif (version := known.latest_version) != known.version:
            known = known.checkout_version(version)
        self._known[name] = known
        return known

    def changing(self, table: Table) -> lance.LanceDataset:
        """The dataset as it is now, by a handle of its own: those that change a dataset can be used by one thread."""
        latest = self.latest(table)
        return latest.checkout_version(latest.version)

    def exists(self, table: Table) -> bool:
        """Whether there is such a table."""
        try:
            self.latest(table)
        except (ValueError, OSError) as error:
            if "was not found" not in str(error):
                raise
            return False
        return True

    def is_current(self, table: Table) -> bool:
        """Whether a table is there, of this version and with all columns."""
        if not self.exists(table):
            return False
        schema = self.latest(table).schema
        return (schema.metadata or {}).get(_VERSION) == str(VERSION).encode() and {*table.columns} <= {*schema.names}

    def make(self, table: Table) -> None:
        """Make a table that is missing, or bring an older one to this version. Twice is once."""
        found = self.latest(table) if self.exists(table) else self._create(table)
        metadata = found.schema.metadata or {}
        if _VERSION not in metadata:
            raise NotAStore(
                f"{self.label} has a table {table.name} that is not ours; give colonnade a place of its own"
            )
        version = int(metadata[_VERSION])
        if version > VERSION:
            raise SchemaTooNew(self.label, version, VERSION)
        if not self.is_current(table):
            self._migrate(table, self.changing(table))

    def _create(self, table: Table) -> lance.LanceDataset:
        empty = layout(table).empty_table()
        try:
            made = lance.write_dataset(
                empty, self.uri(table), mode="create", storage_options=self.options, session=self.session
            )
        except OSError as error:
            if "already exists" not in str(error) and not is_overtaken(error):
                raise
            return self.latest(table)  # somebody else was faster
        self._known[table.name] = made
        return made

    def _migrate(self, table: Table, found: lance.LanceDataset) -> None:
        """Add the columns that are missing, empty, and say the new version."""
        known = set(found.schema.names)
        wanted = layout(table)
        if missing := [field.with_nullable(True) for field in wanted if field.name not in known]:
            found.add_columns(pa.schema(missing))
        found.update_schema_metadata({key.decode(): value.decode() for key, value in wanted.metadata.items()})

    def drop(self, table: Table) -> None:
        """Delete a table with all that is in it, and its companions."""
        if self.exists(table):
            for size in companions(self.latest(table)):
                self.drop_companion(table, size)
        self._known.pop(table.name, None)
        lance.LanceDataset.drop(self.uri(table), storage_options=self.options, ignore_not_found=True)

    def companion(self, table: Table, size: int) -> lance.LanceDataset | None:
        """The companion of a table for vectors of one size, as it is now; ``None`` where there is none."""
        name = _companion(table, size)
        if size not in companions(self.latest(table)):
            return None
        try:
            return self._latest(name)
        except (ValueError, OSError) as error:
            if "not found" not in str(error):
                raise
            return None

    def make_companion(self, table: Table, schema: pa.Schema, size: int) -> lance.LanceDataset:
        """Make it, empty, over one that is there, and say in the table that it has one."""
        self.drop_companion(table, size)
        uri = self._uri(_companion(table, size))
        made = lance.write_dataset(schema.empty_table(), uri, mode="create", storage_options=self.options)
        self.changing(table).update_config({f"{_COMPANION}{size}": ""})
        return made

    def drop_companion(self, table: Table, size: int) -> None:
        """Delete it."""
        name = _companion(table, size)
        self._known.pop(name, None)
        lance.LanceDataset.drop(self._uri(name), storage_options=self.options, ignore_not_found=True)

    def close(self) -> None:
        """Let go of all handles."""
        self._known.clear()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """The errors of Lance as ours, without what is secret in the options."""
        try:
            yield
        except ColonnadeError:  # some of ours are ValueErrors too
            raise
        except (OSError, ValueError, RuntimeError) as error:
            if is_overtaken(error):
                raise Conflict(f"{self.label}: others changed it at the same time, and kept on doing so") from error
            raise self._explained(error) from None

    def _explained(self, error: Exception) -> StoreError:
        said = _WHERE.sub("", str(error))
        for name, value in self.options.items():
            if is_secret(name) and value:
                said = said.replace(value, "...")
        if "Permission denied" in said or "Read-only file system" in said or "AccessDenied" in said:
            return StoreReadOnly(f"{self.label} cannot be written: {said}")
        return StoreError(f"{self.label}: {said}")

    def before_fork(self) -> None:
        """Nothing: handles have no threads of their own."""

    def after_fork_in_parent(self) -> None:
        """Nothing."""

    def after_fork_in_child(self) -> None:
        """Begin anew."""
        self._begin()


def companions(dataset: lance.LanceDataset) -> tuple[int, ...]:
    """The sizes of vectors for which a table has a companion (``vectors``)."""
    return tuple(int(name.removeprefix(_COMPANION)) for name in dataset.config() if name.startswith(_COMPANION))


def _companion(table: Table, size: int) -> str:
    return f"{table.name}.{size}"


def is_overtaken(error: Exception) -> bool:
    """Whether somebody else's commit was faster: what failed can be done again."""
    said = str(error)
    return isinstance(error, CommitConflictError) or "Too many concurrent writers" in said or "commit conflict" in said


def is_secret(option: str) -> bool:
    """Whether an option of an object store is one that nobody may see."""
    return any(word in option.lower() for word in ("secret", "token", "password", "key", "credential", "sas"))
