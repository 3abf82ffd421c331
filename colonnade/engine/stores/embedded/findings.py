"""What a look at an embedded folder finds, and what can be done about it: values, without any doing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """Data is lost or cannot be read, or may be read wrongly."""
    WARNING = "warning"
    """Nothing is lost, but something lies there that should not, or soon will be trouble."""
    NOTE = "note"
    """As it should be after a crash, or simply good to know."""


class Remedy(StrEnum):
    """What ``--repair`` does about a finding, in words. Those that others depend on come first."""

    NEW_MARKER = "write it anew"
    NEW_MANIFEST = "rebuild it from the segments; rows that were deleted before they were sealed may come back"
    FORGET = "leave the segment out from now on; its rows are lost, unless you put the file back first"
    REWRITE = "write a new segment of the rows that can be read; keep the damaged one in damaged/"
    CORRECT = "correct the manifest by what the segment holds"
    REINDEX = "build it anew from its segment"
    SETTLE = "hide all copies but the last of each"
    SALVAGE = "write the whole commits into a new log; keep the damaged one in damaged/"
    NEW_STATE = "make a new one, of the rows that can be read; keep the damaged one in damaged/"
    EMPTY_STATE = "make a new one, empty; what was in it is lost, unless you put the file back first"
    SET_ASIDE = "move it into damaged/"
    REMOVE = "remove it"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found: the file it is about, relative to the folder, and what ``--repair`` would do."""

    severity: Severity
    file: str
    what: str
    remedy: Remedy | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A whole look at a folder.

    ``sealer`` is who has the lease, if anybody; ``rows`` are counted by table, as sealed segments have them, and
    ``commits`` are those of logs, to be sealed; ``repaired`` says what was done before this look.
    """

    path: str
    findings: tuple[Finding, ...]
    segments: int = 0
    rows: dict[str, int] | None = None
    logs: int = 0
    commits: int = 0
    sealer: str | None = None
    repaired: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether there is nothing but notes."""
        return all(finding.severity == Severity.NOTE for finding in self.findings)

    @property
    def summary(self) -> str:
        """What was looked at, in a sentence."""
        rows = ", ".join(f"{count:,} {name}" for name, count in (self.rows or {}).items()) or "no rows"
        logs = f"{_many(self.logs, 'log')} with {_many(self.commits, 'commit')} to be sealed"
        text = f"{self.path}: {_many(self.segments, 'segment')} with {rows}; {logs if self.logs else 'all is sealed'}."
        return text + (f" It is in use: {self.sealer} seals." if self.sealer else "")

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {**asdict(self), "clean": self.clean}


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
