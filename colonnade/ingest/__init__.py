"""Recordings of others into our rows."""
