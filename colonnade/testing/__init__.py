"""Shipped test kit: the conformance machine, its reference, strategies that follow the schemas, and question fixtures.

Names are loaded when they are first asked for: ``import colonnade.testing`` needs no hypothesis, the machine does
(``pip install 'colonnade[testing]'``).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from colonnade.testing.excuses import EXCUSES, Excuse, agree, excuses_of, lacking
    from colonnade.testing.machine import machine_for, run_machine
    from colonnade.testing.questions import QUESTIONS, Question, ask, load
    from colonnade.testing.reference import Reference
    from colonnade.testing.report import Report, Row, conform

_HOMES: Final = {
    "excuses": ("EXCUSES", "Excuse", "agree", "excuses_of", "lacking"),
    "machine": ("machine_for", "run_machine"),
    "questions": ("QUESTIONS", "Question", "ask", "load"),
    "reference": ("Reference",),
    "report": ("Report", "Row", "conform"),
}

__all__ = [
    "EXCUSES",
    "QUESTIONS",
    "Excuse",
    "Question",
    "Reference",
    "Report",
    "Row",
    "agree",
    "ask",
    "conform",
    "excuses_of",
    "lacking",
    "load",
    "machine_for",
    "run_machine",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
