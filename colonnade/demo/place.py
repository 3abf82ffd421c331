"""Where a demo lies: its files, and that they take the place of nothing but an earlier demo."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import colonnade
from colonnade.errors import AlreadyExists, InvalidInput, NotAStore, SchemaTooNew, StoreReadOnly

DEFAULT: Final = Path("colonnade-demo.db")
SERVICE: Final = "colonnade-demo"
"""The name of the service that all spans of a demo come from; a store with other spans is no demo."""
MADE_BY: Final = {"madeBy": "colonnade demo"}
"""Metadata of the agent and the threads in a demo, by which a store is known as one."""

_MADE_BY: Final = "json_extract_string(metadata, '$.madeBy')"


@dataclass(frozen=True, slots=True)
class Place:
    """The files of a demo: the DuckDB database, and the Parquet export beside it."""

    database: Path

    @property
    def export(self) -> Path:
        """The Parquet file."""
        return self.database.with_name(f"{self.database.stem}-spans.parquet")

    def address(self, option: str) -> str:
        """The database as a URL with an option."""
        return f"duckdb:///{quote(str(self.database))}?{option}"

    def clear(self) -> None:
        """Delete an earlier demo; ``AlreadyExists`` where something else is there, which stays as it is."""
        known = self.database.exists()
        if known and not _is_demo(self):
            raise AlreadyExists(
                f"{self.database} is there already, and is not (or not only) an earlier demo; "
                "it was left as it is. Name another file: colonnade demo --path other.db"
            )
        if self.export.exists() and not known:
            raise AlreadyExists(
                f"{self.export} is there already, without the demo that it would come from; it was left as it is. "
                "Move it away, or name another file: colonnade demo --path other.db"
            )
        for path in (self.database, self.database.with_name(self.database.name + ".wal"), self.export):
            path.unlink(missing_ok=True)


def place(path: str | os.PathLike[str] | None) -> Place:
    """The place that a path names: a file, or a folder for the default file; ``InvalidInput`` for another ending."""
    given = DEFAULT if path is None else Path(path).expanduser()
    database = given / DEFAULT if given.is_dir() else given
    if database.suffix not in (".db", ".duckdb"):
        raise InvalidInput(f"the demo writes a DuckDB file: end {database} in .db or .duckdb")
    return Place(database)


def _is_demo(place: Place) -> bool:
    """Whether a file is an earlier demo, and only that: nobody has put anything of their own into it."""
    try:
        with colonnade.open(place.address("read_only=true")) as store:
            agent = store.agents.get_agent_by_id(id="helpdesk")
            foreign = [
                *store.sql("select 1 from spans where serviceName is distinct from ? limit 1", [SERVICE]).rows(),
                *store.sql(
                    f"select 1 from threads where {_MADE_BY} is distinct from ? limit 1", [*MADE_BY.values()]
                ).rows(),
            ]
            return agent is not None and agent.get("metadata") == MADE_BY and not foreign
    except (NotAStore, StoreReadOnly, SchemaTooNew):
        return False


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
