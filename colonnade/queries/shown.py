"""Values that show themselves: in a notebook as a picture, in a terminal as text.

How a value looks is the business of ``colonnade.display``, which stands above and knows all values. So it is looked up
by its name, when a picture is asked for: a program that shows nothing does not load it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


class Shown:
    """What notebooks ask of a value (IPython's display protocol). ``colonnade.display.notebook`` draws it."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """The value as HTML and as plain text, by MIME type; the notebook takes the best that it can show."""
        found: dict[str, str] = import_module("colonnade.display.notebook").mimebundle(self)
        return found

    def __str__(self) -> str:
        """The value as plain text, 80 columns wide."""
        text: str = import_module("colonnade.display.notebook").plain(self)
        return text


class Rows(Shown):
    """Rows that show themselves as a table; of many, the first and the last."""

    def arrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        raise NotImplementedError

    @property
    def plan(self) -> str | None:
        """What is to be shown as text instead: the plan of a query that was explained."""
        return None
