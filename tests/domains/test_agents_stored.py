"""Stored agents, line by line of the storage contract."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from colonnade.engine.plan import Put
from colonnade.errors import AlreadyExists, InvalidInput, InvalidRows, NotFound
from colonnade.schemas import AGENTS
from colonnade.schemas.records import encode

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def agent(id: str = "a1", **more: Any) -> dict[str, Any]:
    return {"id": id, "name": "Ada", "instructions": "Be brief.", "model": {"name": "gpt-5"}, **more}


EVERYTHING = agent(
    description="Helps.",
    tools=["search"],
    defaultOptions={"maxSteps": 3},
    workflows=["w"],
    agents=["a2"],
    inputProcessors=[{"key": "p"}],
    outputProcessors=["q"],
    memory="default",
    scorers={"faithfulness": {"sampling": {"type": "ratio", "rate": 0.5}}},
    metadata={"team": {"name": "core"}, "tier": 1},
)


def create(storage: Any, *ids: str, **more: Any) -> None:
    for id in ids:
        storage.agents.create_agent(agent=agent(id, **more))


def ids(storage: Any, **arguments: Any) -> list[str]:
    return [found["id"] for found in storage.agents.list_agents(**arguments)["agents"]]


def test_a_created_agent_is_given_and_read_as_it_was_with_its_times(storage: Any) -> None:
    before = datetime.now(UTC)
    created = storage.agents.create_agent(agent=EVERYTHING)

    assert created == {**EVERYTHING, "createdAt": created["createdAt"], "updatedAt": created["updatedAt"]}
    assert before <= created["createdAt"] == created["updatedAt"]
    assert created["createdAt"].utcoffset() == timedelta(0)
    assert storage.agents.get_agent_by_id(id="a1") == created


def test_nulls_are_dropped_from_records(storage: Any) -> None:
    created = storage.agents.create_agent(agent=agent(description=None, tools=None))
    present = {"id", "name", "instructions", "model", "createdAt", "updatedAt"}

    assert created.keys() == present
    assert storage.agents.get_agent_by_id(id="a1").keys() == present
    assert storage.agents.list_agents()["agents"][0].keys() == present
    assert storage.agents.update_agent(id="a1", name="Bob").keys() == present


def test_an_agent_that_is_not_there_is_none(storage: Any) -> None:
    create(storage, "a1")

    assert storage.agents.get_agent_by_id(id="a2") is None


def test_given_times_are_honoured(storage: Any) -> None:
    created = storage.agents.create_agent(agent=agent(createdAt="2026-01-31T13:00:00+01:00", updatedAt=NOON + TICK))

    assert (created["createdAt"], created["updatedAt"]) == (NOON, NOON + TICK)


def test_a_duplicate_id_is_refused_and_the_first_agent_stays(storage: Any) -> None:
    created = storage.agents.create_agent(agent=agent())

    with pytest.raises(AlreadyExists, match=r"^Agent with id a1 already exists$"):
        storage.agents.create_agent(agent=agent(name="Eve"))
    assert storage.agents.get_agent_by_id(id="a1") == created


@pytest.mark.parametrize("field", ["id", "name", "instructions", "model"])
def test_each_required_field_is_required(storage: Any, field: str) -> None:
    with pytest.raises(InvalidRows, match=f"{field} is required"):
        storage.agents.create_agent(agent={**agent(), field: None})
    assert ids(storage) == []


def test_unknown_fields_are_refused_by_the_schema(storage: Any) -> None:
    with pytest.raises(InvalidRows, match="did you mean 'instructions'"):
        storage.agents.create_agent(agent=agent(instruction="?"))
    create(storage, "a1")
    with pytest.raises(InvalidRows, match="did you mean 'defaultOptions'"):
        storage.agents.update_agent(id="a1", defaultOption={})


def test_given_fields_replace_and_the_others_stay(storage: Any) -> None:
    created = storage.agents.create_agent(agent=EVERYTHING)

    changed = storage.agents.update_agent(
        id="a1", name="Bob", model={"name": "gpt-6"}, defaultOptions={"temperature": 0}, inputProcessors=[]
    )

    assert changed == {
        **created,
        "name": "Bob",
        "model": {"name": "gpt-6"},
        "defaultOptions": {"temperature": 0},
        "inputProcessors": [],
        "updatedAt": changed["updatedAt"],
    }
    assert storage.agents.get_agent_by_id(id="a1") == changed


def test_metadata_is_merged_shallowly(storage: Any) -> None:
    storage.agents.create_agent(agent=EVERYTHING)

    changed = storage.agents.update_agent(id="a1", metadata={"team": {"lead": "eve"}, "new": None})

    assert changed["metadata"] == {"team": {"lead": "eve"}, "tier": 1, "new": None}


def test_metadata_is_merged_into_none_too(storage: Any) -> None:
    create(storage, "a1")

    assert storage.agents.update_agent(id="a1", metadata={"tier": 1})["metadata"] == {"tier": 1}


def test_metadata_must_be_an_object(storage: Any) -> None:
    storage.agents.create_agent(agent=EVERYTHING)

    with pytest.raises(InvalidInput, match="metadata must be a dict"):
        storage.agents.update_agent(id="a1", metadata=["tier"])


def test_none_clears_an_optional_field_and_is_refused_for_a_required_one(storage: Any) -> None:
    storage.agents.create_agent(agent=EVERYTHING)

    changed = storage.agents.update_agent(id="a1", description=None, metadata=None)
    assert not {"description", "metadata"} & changed.keys()
    with pytest.raises(InvalidRows, match="name is required"):
        storage.agents.update_agent(id="a1", name=None)


def test_updated_at_is_strictly_later_even_where_the_stored_one_lies_ahead(storage: Any) -> None:
    ahead = datetime.now(UTC) + timedelta(days=1)
    create(storage, "a1")
    create(storage, "a2", createdAt=NOON, updatedAt=ahead)

    first = storage.agents.update_agent(id="a1")
    second = storage.agents.update_agent(id="a1", name="Bob")
    assert first["createdAt"] == second["createdAt"] < first["updatedAt"] < second["updatedAt"]
    assert storage.agents.update_agent(id="a2")["updatedAt"] == ahead + TICK


def test_an_agent_can_be_passed_back_as_it_was_read(storage: Any) -> None:
    created = storage.agents.create_agent(agent=EVERYTHING)

    changed = storage.agents.update_agent(**{**created, "name": "Bob", "createdAt": NOON, "updatedAt": NOON})

    assert changed == {**created, "name": "Bob", "updatedAt": changed["updatedAt"]}
    assert changed["updatedAt"] > created["updatedAt"]


def test_updating_an_agent_that_is_not_there_is_an_error_and_writes_nothing(storage: Any) -> None:
    with pytest.raises(NotFound, match=r"^Agent with id a1 not found$"):
        storage.agents.update_agent(id="a1", name="Ada", instructions="", model={})
    assert ids(storage) == []


def test_deleting_is_idempotent_deletes_only_that_and_gives_none(storage: Any) -> None:
    create(storage, "a1", "a2")

    assert storage.agents.delete_agent(id="a1") is None
    assert storage.agents.delete_agent(id="a1") is None
    assert ids(storage) == ["a2"]
    create(storage, "a1")
    assert set(ids(storage)) == {"a1", "a2"}


def test_agents_are_listed_newest_created_first_and_ties_by_id(storage: Any) -> None:
    create(storage, "b", "a", createdAt=NOON)
    create(storage, "old", createdAt=NOON - TICK)
    create(storage, "new", createdAt=NOON + TICK)

    assert ids(storage) == ["new", "a", "b", "old"]


def test_agents_are_ordered_by_either_time_in_either_direction(storage: Any) -> None:
    create(storage, "a", createdAt=NOON, updatedAt=NOON + 2 * TICK)
    create(storage, "b", createdAt=NOON + TICK, updatedAt=NOON + TICK)

    assert ids(storage, order_by={"field": "createdAt", "direction": "ASC"}) == ["a", "b"]
    assert ids(storage, order_by={"field": "updatedAt", "direction": "ASC"}) == ["b", "a"]
    assert ids(storage, order_by={"field": "updatedAt"}) == ["a", "b"]
    assert ids(storage, order_by={"direction": "asc"}) == ["a", "b"]


@pytest.mark.parametrize("order_by", [None, {}, {"field": "name", "direction": "sideways"}, {"field": ["x"]}])
def test_unknown_orders_fall_back_to_the_default(storage: Any, order_by: Any) -> None:
    create(storage, "a", createdAt=NOON)
    create(storage, "b", createdAt=NOON + TICK)

    assert ids(storage, order_by=order_by) == ["b", "a"]


def test_pages_have_the_flat_shape(storage: Any) -> None:
    create(storage, *"abcde", createdAt=NOON)

    page = storage.agents.list_agents(page=1, per_page=2)
    assert [found["id"] for found in page.pop("agents")] == ["c", "d"]
    assert page == {"total": 5, "page": 1, "perPage": 2, "hasMore": True}
    last = storage.agents.list_agents(page=2, per_page=2)
    assert (last["total"], last["hasMore"], len(last["agents"])) == (5, False, 1)


def test_a_page_has_100_agents_unless_said_otherwise(storage: Any) -> None:
    agents = [agent(f"{place:03}", createdAt=NOON, updatedAt=NOON) for place in range(101)]
    storage.execute(Put(AGENTS, encode(AGENTS, agents)))

    page = storage.agents.list_agents()
    assert (len(page["agents"]), page["perPage"], page["total"], page["hasMore"]) == (100, 100, 101, True)
    everything = storage.agents.list_agents(per_page=False)
    assert (len(everything["agents"]), everything["perPage"], everything["hasMore"]) == (101, False, False)
    nothing = {"agents": [], "total": 0, "page": 0, "perPage": 0, "hasMore": False}
    assert storage.agents.list_agents(per_page=0) == nothing


@pytest.mark.above_the_waist
@pytest.mark.parametrize("wrong", [{"page": -1}, {"per_page": -1}, {"page": 1, "per_page": False}])
def test_impossible_pages_are_errors_not_defaults(storage: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="page"):
        storage.agents.list_agents(**wrong)


def test_init_is_harmless_and_clear_all_deletes_every_agent(storage: Any) -> None:
    create(storage, "a1", "a2")

    assert storage.agents.init() is None
    assert set(ids(storage)) == {"a1", "a2"}
    assert storage.agents.dangerously_clear_all() is None
    assert ids(storage) == []
