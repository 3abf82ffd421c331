"""All pictures of values: importing a module here is what makes notebooks know its pictures."""

from colonnade.display import waterfall

__all__ = ["waterfall"]
