"""Cloudflare D1 over its REST API, or over a Worker of yours that offers a binding on the same paths."""

from colonnade.engine.stores.d1.store import AsyncD1Store, D1Store

__all__ = ["AsyncD1Store", "D1Store"]
