"""All pictures of values: importing a module here is what makes notebooks know its pictures."""

from colonnade.display import conversation, grid, report, waterfall

__all__ = ["conversation", "grid", "report", "waterfall"]
