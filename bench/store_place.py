"""What a kind of store is to ``stores``: where it lies, what it is made with, how much it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import bench.spans
from bench import kept
from bench.findings import Target
from bench.store_floors import Floor
from colonnade.engine import stores

_ENGINE: Final = Path(stores.__path__[0])


@dataclass(frozen=True, slots=True)
class Place:
    """A store and its floor, where they are in a folder of the cache."""

    address: str
    floor: Floor
    sizes: Callable[[], tuple[int, int]]
    """Bytes of both."""
    settle: Callable[[Any], object] = lambda opened: opened.optimize()
    """Brings an open store into the state in which its own upkeep leaves it after a while."""
    servers: tuple[int, ...] = ()
    """The processes that answer, where those are others."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of store."""

    title: str
    driver: str
    """What its floor is made with."""
    place: Callable[[Path], AbstractContextManager[Place]]
    code: str
    """Its modules, below ``colonnade/engine/stores``: when they change, what is in the cache is made anew."""
    target: Target | None = None
    """What its look-ups should take at most, in milliseconds."""
    needs: Mapping[str, str] = field(default_factory=dict)
    """Modules that it needs, and what installs them."""
    most: int | None = None
    """Spans that it is given at most: what reaches it one request after the other takes its time."""
    put: int = kept.PUT
    """Spans of a put."""
    sums: bool = True
    """Whether it is asked for sums over all spans, too."""
    lacks: Callable[[], str | None] = lambda: None
    """What else it needs and is not there, in words."""

    @property
    def missing(self) -> list[str]:
        """What has to be installed first, in words."""
        packages = [
            f"{package} is not installed" for module, package in self.needs.items() if find_spec(module) is None
        ]
        return packages or [told for told in (self.lacks(),) if told]

    @property
    def sources(self) -> list[Path]:
        """The code that decides what is in the cache."""
        floors = sorted(Path(__file__).parent.glob("*_floors.py"))
        return [Path(bench.spans.__file__), Path(__file__), *floors, *sorted(_ENGINE.glob(self.code))]
