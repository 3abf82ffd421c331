"""Checking the certificate of a server, which the driver does only if a configuration file of FreeTDS says so.

So there is such a file while a connection is made, named by ``FREETDSCONF``. The environment is the whole process's:
connections are made one by one as soon as one of them is to be checked.
"""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from colonnade.engine.stores.mssql.address import Place

_FILE: Final = "FREETDSCONF"
_turn: Final = threading.Lock()
_some = threading.Event()


@contextmanager
def checked(place: Place) -> Iterator[None]:
    """What connects within checks the certificate of a place, if that is wanted."""
    if place.is_checked:
        _some.set()
    elif not _some.is_set():
        yield
        return
    with _turn:
        if place.is_checked:
            with _named(place.ca or ssl.get_default_verify_paths().cafile or "system"):
                yield
        else:
            yield


@contextmanager
def _named(authorities: str) -> Iterator[None]:
    before = os.environ.get(_FILE)
    with TemporaryDirectory(prefix="colonnade-") as folder:
        path = Path(folder) / "freetds.conf"
        path.write_text(f"[global]\nca file = {authorities}\ncheck certificate hostname = yes\n")
        os.environ[_FILE] = str(path)
        try:
            yield
        finally:
            if before is None:
                del os.environ[_FILE]
            else:
                os.environ[_FILE] = before
