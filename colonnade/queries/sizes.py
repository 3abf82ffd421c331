"""Sizes as people write them: a number of bytes, ``512MB``, ``2GiB``."""

from __future__ import annotations

import re
from math import isfinite
from typing import Final

_UNITS: Final = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}


def size_of(given: object) -> int | None:
    """The bytes that are meant; ``None`` where what is given says no size."""
    if isinstance(given, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?I?B?)", given.strip().upper())):
        wanted = float(match[1]) * _UNITS.get(match[2], 0)
        return int(wanted) if isfinite(wanted) else None
    return given if isinstance(given, int) and not isinstance(given, bool) else None


def spell_size(size: int) -> str:
    """Bytes as text for people: ``1.5 GiB``."""
    for name, unit in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size} B"
