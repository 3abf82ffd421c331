"""Shipped test kit: the conformance machine, its reference, strategies that follow the schemas."""
