"""Room that a folder keeps for when its disk is full: pruning must write a little before it can unlink much.

A write that fails takes what room was left, so there is none at all then.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

from colonnade.engine.stores.embedded.folder import Folder

RESERVE: Final = 128 * 1024
"""Bytes: a manifest or two, and the keys of some thousand deletes."""
_NAME: Final = "reserve"


def keep(folder: Folder) -> None:
    """Take the room, where there is some. The caller has the lease."""
    path = folder.path / _NAME
    if not path.exists():
        try:
            with path.open("wb") as file:
                file.write(os.urandom(RESERVE))  # a file system might make nothing of zeros
        except OSError:
            with suppress(OSError):
                path.unlink(missing_ok=True)


def give_up(folder: Folder) -> bool:
    """Give the room back; whether there was any."""
    try:
        (folder.path / _NAME).unlink()
    except OSError:
        return False
    return True
