"""All pictures of values: importing a module here is what makes notebooks know its pictures."""

from colonnade.display import agreement, comparison_html, conversation, evals, grid, report, waterfall

__all__ = ["agreement", "comparison_html", "conversation", "evals", "grid", "report", "waterfall"]
