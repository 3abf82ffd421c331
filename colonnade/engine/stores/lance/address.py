"""Addresses of Lance stores."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from colonnade.engine.store import Store
from colonnade.errors import InvalidAddress, MissingExtra, NotAStore, StoreReadOnly

OBJECT_STORES: Final = ("s3", "gs", "az")
_S3: Final = {
    "region": "aws_region",
    "endpoint": "aws_endpoint",
    "access_key_id": "aws_access_key_id",
    "secret_access_key": "aws_secret_access_key",
    "session_token": "aws_session_token",
}
"""What options of S3 are called for short."""


def open_lance(address: str) -> Store:
    """The store at a ``lancedb://`` or ``lancedb+...://`` address."""
    try:
        import lance  # noqa: F401 - asked for before anything is opened
    except ImportError:
        raise MissingExtra("a Lance store", "lance") from None
    parts = urlsplit(address)
    kind = parts.scheme.partition("+")[2]
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if kind == "db":
        return _cloud(parts.hostname or "", options)
    if kind in OBJECT_STORES:
        return _remote(kind, address, options)
    if kind:
        known = ", ".join(f"lancedb+{each}://bucket/path" for each in OBJECT_STORES)
        raise InvalidAddress(
            f"no Lance store is known for {parts.scheme}://; write lancedb:///path, lancedb+db://database, or {known}"
        )
    if parts.netloc:
        raise InvalidAddress(f"a folder has no host: write lancedb:///{parts.netloc}{parts.path} (three slashes)")
    if options:
        raise InvalidAddress(f"lancedb:/// knows no option {next(iter(options))!r}, and none at all")
    path = unquote(parts.path)[1:]
    return _temporary() if path in ("", ":memory:") else _local(Path(path).expanduser())


def _local(folder: Path) -> Store:
    from colonnade.engine.stores.lance.store import LanceStore

    if folder.exists() and not folder.is_dir():
        raise NotAStore(f"{folder} is a file; a Lance store is a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except PermissionError:
        raise StoreReadOnly(f"{folder} cannot be made: its parent folder cannot be written") from None
    return LanceStore(str(folder.absolute()), folder=folder.absolute(), label=str(folder))


def _temporary() -> Store:
    """A store in a folder of its own, deleted when it is closed."""
    from colonnade.engine.stores.lance.store import LanceStore

    folder = tempfile.mkdtemp(prefix="colonnade-lance-")

    class Temporary(LanceStore):
        """Gone when it is closed."""

        def close(self) -> None:
            super().close()
            delete()

    store = Temporary(folder, folder=Path(folder), label="lancedb:///:memory:")
    made_by = os.getpid()
    delete = weakref.finalize(store, _delete, folder, made_by)
    return store


def _delete(folder: str, made_by: int) -> None:
    if os.getpid() == made_by:
        shutil.rmtree(folder, ignore_errors=True)


def _cloud(database: str, options: Mapping[str, str]) -> Store:
    """LanceDB Cloud or Enterprise. The key comes from ``LANCEDB_API_KEY`` unless it is given."""
    known = ("api_key", "region", "host_override")
    if unknown := sorted(set(options) - set(known)):
        raise InvalidAddress(f"lancedb+db:// knows no option {unknown[0]!r}, only {', '.join(known)}")
    key = options.get("api_key") or os.environ.get("LANCEDB_API_KEY", "")
    if not database or not key:
        raise InvalidAddress(
            "LanceDB Cloud needs a database and a key: lancedb+db://database, with LANCEDB_API_KEY in the environment"
        )
    try:
        import lancedb
    except ImportError:
        raise MissingExtra("LanceDB Cloud", "lance-cloud") from None
    from colonnade.engine.stores.lance.cloud import LanceCloudStore

    others = {name: value for name, value in options.items() if name != "api_key"}
    connection = lancedb.connect(f"db://{database}", api_key=key, **others)  # type: ignore[arg-type]
    return LanceCloudStore(connection, f"lancedb+db://{database}", (key,))


def _remote(kind: str, address: str, options: Mapping[str, str]) -> Store:
    """A place in an object store. Keys come from the address or, as is usual there, from the environment."""
    from colonnade.engine.stores.lance.store import LanceStore

    parts = urlsplit(address)
    if not parts.hostname:
        raise InvalidAddress(f"name the bucket: lancedb+{kind}://bucket/path")
    given = {_S3.get(name, name) if kind == "s3" else name: value for name, value in options.items()}
    if parts.username and kind == "s3":
        given["aws_access_key_id"] = unquote(parts.username)
        given["aws_secret_access_key"] = unquote(parts.password or "")
    if given.get("aws_endpoint", "").startswith("http://"):
        given.setdefault("allow_http", "true")
    bucket = parts.netloc.rpartition("@")[2]
    root = f"{kind}://{bucket}{parts.path.rstrip('/')}"
    return LanceStore(root, label=f"lancedb+{root}", options=given)
