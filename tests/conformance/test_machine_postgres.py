"""The machine on PostgreSQL, in both colours, with pgvector, and in a database that Mastra made."""

from pathlib import Path

import pytest
from hypothesis import settings

import colonnade
from colonnade.engine import searching
from colonnade.schemas import MESSAGES, THREADS, VECTORS
from colonnade.testing.colours import Awaited
from colonnade.testing.machine import STEPS, run_machine
from tests.servers.postgres import Server


def fewer(part: int) -> settings:
    """A part of the profile's examples: each of their hundreds of plans is a millisecond away."""
    return settings(max_examples=max(settings().max_examples // part, 5), stateful_step_count=STEPS, deadline=None)


def test_a_server_answers_as_the_reference_does(postgres: Server) -> None:
    postgres.command("CREATE EXTENSION IF NOT EXISTS vector")
    with colonnade.open(postgres.address("machine")) as storage:
        run_machine(storage, excused={"compare_and_set"}, settings=fewer(5))


def test_an_awaited_server_answers_as_the_reference_does(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    # Searches go on from page to page, which hold very few rows here.
    monkeypatch.setattr(searching, "PAGE", 2)
    monkeypatch.setattr(searching, "BYTES", 1)
    storage = Awaited(colonnade.aopen(postgres.address("awaited_machine")))
    try:
        run_machine(storage, excused={"compare_and_set"}, settings=fewer(10))
    finally:
        storage.close()


def test_a_database_of_mastra_answers_as_the_reference_does(postgres: Server) -> None:
    made, _, _ = (
        (Path(__file__).parent.parent / "postgres" / "mastra.sql").read_text().partition("-- What Mastra wrote")
    )
    postgres.command("CREATE SCHEMA mastra_machine", f"SET search_path = mastra_machine; {made}")
    with colonnade.open(postgres.address("mastra_machine")) as storage:
        # jsonb keeps numbers its own way, and a scope of Mastra's is text or an object: here are the others.
        run_machine(storage, tables=(THREADS, MESSAGES, VECTORS), excused={"compare_and_set"}, settings=fewer(20))
