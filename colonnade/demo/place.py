"""Where a demo lies: its store and its export, and that they take the place of nothing but an earlier demo."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import colonnade
from colonnade.errors import AlreadyExists, InvalidInput, StoreError, StoreLocked

if TYPE_CHECKING:
    from colonnade import Storage

DEFAULT: Final = Path("colonnade-demo")
SERVICE: Final = "colonnade-demo"
"""The name of the service that all spans of a demo come from; a store with other spans is no demo."""
MADE_BY: Final = {"madeBy": "colonnade demo"}
"""Metadata of the agent and the threads in a demo, by which a store is known as one."""
SCORER: Final = "resolved"
"""Who gives all scores in a demo."""

_FILES: Final = (".db", ".duckdb")
_MARKER: Final = "store.json"
_FOREIGN: Final = """\
select 1 from spans where serviceName is distinct from $service
union all select 1 from agents where json_extract_string(metadata, '$.madeBy') is distinct from $made_by
union all select 1 from threads where json_extract_string(metadata, '$.madeBy') is distinct from $made_by
union all select 1 from messages where thread_id not in (select id from threads)
union all select 1 from resources where id not in (select resourceId from threads)
union all select 1 from workflows where run_id not in (select id from threads)
union all select 1 from scores where scorerId <> $scorer or runId not in (select id from threads)
union all select 1 from evals
limit 1"""
"""Rows that no demo writes: everything in it hangs on its threads."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a demo makes: a store, which is a folder or one DuckDB file, and the Parquet export beside it."""

    store: Path

    @property
    def is_folder(self) -> bool:
        """Whether the store is a folder."""
        return self.store.suffix not in _FILES

    @property
    def export(self) -> Path:
        """The Parquet file."""
        return self.store.with_name(f"{self.store.name if self.is_folder else self.store.stem}-spans.parquet")

    @property
    def size(self) -> int:
        """The size of the store, in bytes."""
        return sum(path.stat().st_size for path in (self.store, *self.store.rglob("*")) if path.is_file())

    def open(self) -> Storage:
        """The store, to be written."""
        if self.is_folder:
            return colonnade.open(self.store)
        return self._file("threads=1")  # many small writes, which one thread does sooner than two

    def _look(self) -> Storage:
        """The store as it is: looking leaves it alone."""
        return colonnade.open(self.store, init=False) if self.is_folder else self._file("read_only=true")

    def _file(self, option: str) -> Storage:
        return colonnade.open(f"duckdb:///{quote(str(self.store))}?{option}")

    def clear(self) -> None:
        """Delete an earlier demo; ``AlreadyExists`` where something else is there, which stays as it is."""
        another = f"colonnade demo --path {'other' if self.is_folder else 'other.db'}"
        if _is_there(self.store) and not self._is_demo():
            raise AlreadyExists(
                f"{self.store} is there already, and is not (or not only) an earlier demo; "
                f"it was left as it is. Name another place: {another}"
            )
        if self.export.exists() and not _is_export(self.export):
            raise AlreadyExists(
                f"{self.export} is there already, and no earlier demo has made it; it was left as it is. "
                f"Move it away, or name another place: {another}"
            )
        if self.is_folder:
            self._delete_folder()
        else:
            self.store.unlink(missing_ok=True)
            self.store.with_name(self.store.name + ".wal").unlink(missing_ok=True)
        self.export.unlink(missing_ok=True)

    def _is_demo(self) -> bool:
        """Whether the store is an earlier demo, and only that: nobody has put anything of their own into it."""
        if self.is_folder and not self._is_store():
            return False
        values = {"service": SERVICE, "made_by": MADE_BY["madeBy"], "scorer": SCORER}
        try:
            with self._look() as store:
                agent = store.agents.get_agent_by_id(id="helpdesk")
                if agent is None or agent.get("metadata") != MADE_BY:
                    return False
                return not store.sql(_FOREIGN, values).rows()
        except StoreLocked:
            raise
        except StoreError:
            return False

    def _is_store(self) -> bool:
        """Whether the folder is that of a store, with nothing else in it."""
        if not all((self.store / name).is_file() for name in (_MARKER, "manifest.json", "state.db")):
            return False
        return all(map(self._is_ours, self._files()))

    def _files(self) -> Iterator[Path]:
        """What is in the folder, with what is in its folders for logs and segments in their place."""
        from colonnade.engine.stores.embedded.folder import FILES

        for path in self.store.iterdir():
            if path.name in FILES and path.is_dir() and not path.is_symlink():
                yield from path.iterdir()
            else:
                yield path

    def _is_ours(self, path: Path) -> bool:
        from colonnade.engine.stores.embedded.folder import FILES

        within = "" if path.parent == self.store else path.parent.name
        return bool(re.fullmatch(FILES[within], path.name)) and path.is_file() and not path.is_symlink()

    def _delete_folder(self) -> None:
        """Delete our files. The folder stays, for it may be the current one, and so does what else came meanwhile."""
        from colonnade.engine.stores.embedded.folder import Folder

        if not (self.store / _MARKER).exists():
            return
        lease = Folder(self.store).lease()
        if lease is None:
            raise StoreLocked(
                f"{self.store} is open elsewhere, perhaps in a notebook; close it there, and run the demo again"
            )
        with closing(lease):
            # The marker goes last: a folder that has it is known as a store.
            for path in sorted(self._files(), key=lambda each: each.name == _MARKER):
                if self._is_ours(path):
                    path.unlink(missing_ok=True)
        for name in ("logs", "segments"):
            with suppress(OSError):
                (self.store / name).rmdir()


def place(path: str | os.PathLike[str] | None) -> Place:
    """The place that a path names; ``InvalidInput`` for an ending that no store has.

    A path that ends in .db or .duckdb is a file, another one the folder of a store. In a folder that is there already
    and is no store, the demo gets a folder of its own, of the default name.
    """
    given = DEFAULT if path is None else Path(path).expanduser()
    if given.is_dir():
        if not (given / _MARKER).exists() and given != DEFAULT:
            given = given / DEFAULT
        elif given.name in ("", ".."):
            given = given.resolve()
    elif given.suffix and given.suffix not in _FILES:
        raise InvalidInput(
            f"the demo writes a folder, or a DuckDB file: leave away the ending of {given}, or end it in .db or .duckdb"
        )
    return Place(given)


def _is_there(store: Path) -> bool:
    """Whether anything is there; an empty folder is as good as none."""
    return os.path.lexists(store) and not (store.is_dir() and not any(store.iterdir()))


def _is_export(path: Path) -> bool:
    """Whether a file is the export of a demo."""
    import pyarrow as pa
    import pyarrow.parquet

    try:
        services = pyarrow.parquet.read_table(path, columns=["serviceName"]).column("serviceName")
    except (pa.ArrowException, OSError, KeyError):
        return False
    return bool(services.unique().to_pylist() == [SERVICE])


def typed(path: Path) -> str:
    """A path as it is typed at a prompt in the current folder."""
    return quoted(short(path))


def quoted(text: str) -> str:
    """One word of a command line."""
    if os.name == "nt":
        return f'"{text}"' if any(character in text for character in " &()^;,") else text
    return shlex.quote(text)


def command() -> str:
    """How this ``colonnade`` is called from the current folder: by its name where that finds it, else by its path."""
    script = Path(sys.executable).with_name("colonnade.exe" if os.name == "nt" else "colonnade")
    found = shutil.which("colonnade")
    if found and script.exists() and Path(found).samefile(script):
        return "colonnade"
    return typed(script) if script.exists() else f"{python()} -m colonnade"


def python() -> str:
    """How this Python is called from the current folder."""
    executable = Path(sys.executable)
    for name in ("python", "python3"):
        found = shutil.which(name)
        if found and Path(found).parent == executable.parent:
            return name
    return typed(executable)


def short(path: Path) -> str:
    """A path from the current folder where it lies within, else in full."""
    full = path.absolute()
    inside = full.is_relative_to(Path.cwd())
    text = str(full.relative_to(Path.cwd())) if inside else str(full)
    return os.path.join(os.curdir, text) if text.startswith("-") else text
