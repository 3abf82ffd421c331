"""Upstash: Redis over HTTP, paid by the command."""
